using Starlight.Domain.References;

namespace Starlight.Infrastructure.Registry;

/// <summary>A user name and password (or access token) for one registry. Its text form hides the secret, so that it may be logged.</summary>
public sealed class RegistryCredential(string username, string password)
{
    public string Username { get; } = username;

    public string Password { get; } = password;

    public override string ToString() => $"{Username}:***";
}

/// <summary>How this process talks to registries. The defaults suit a registry near by and one far away.</summary>
public sealed record RegistryOptions
{
    /// <summary>The registry of a name that has none.</summary>
    public string DefaultRegistry { get; init; } = ImageReference.DefaultRegistry;

    /// <summary>Credentials by registry host (<c>docker.io</c>, <c>127.0.0.1:5000</c>). They win over everything else.</summary>
    public IReadOnlyDictionary<string, RegistryCredential> Credentials { get; init; } = new Dictionary<string, RegistryCredential>(StringComparer.Ordinal);

    /// <summary>
    /// Directories by registry host with the files <c>username</c> and <c>password</c>: mounted Kubernetes secrets of type <c>kubernetes.io/basic-auth</c>. Read at each login.
    /// </summary>
    public IReadOnlyDictionary<string, string> SecretDirectories { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>
    /// Files like Docker's <c>config.json</c>, or directories that hold one as <c>.dockerconfigjson</c> (mounted Kubernetes secrets) or <c>config.json</c>; the first with a
    /// login for the registry counts. Read at each login.
    /// </summary>
    public IReadOnlyList<string> LoginFiles { get; init; } = [];

    /// <summary>The text of such a file, from the environment (<c>DOCKER_AUTH_CONFIG</c>).</summary>
    public string? LoginText { get; init; }

    /// <summary>By registry host, others that have its repositories under the same names, to be read from first: <c>HOST[:PORT]</c>, or <c>http://HOST[:PORT]</c> for plain HTTP.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>> Mirrors { get; init; } = new Dictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal);

    /// <summary>Where Docker's <c>config.json</c> is. Null: <c>$DOCKER_CONFIG</c>, else <c>~/.docker</c>.</summary>
    public string? DockerConfigDirectory { get; init; }

    /// <summary>How often a request is repeated after a passing fault. With <see cref="RetryDelay"/> doubling each time that is about 7 s: a registry's restart.</summary>
    public int RetryLimit { get; init; } = 4;

    /// <summary>Wait before the first repetition; it doubles each time and is jittered.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>A registry that asks us to wait longer than this is reported instead of waited for. Arbitrary: what a person accepts before they want to know.</summary>
    public TimeSpan RetryAfterLimit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>TCP and TLS handshakes together.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>From the end of a request to the answer's headers. Long, because registries verify a whole blob before they answer its PUT.</summary>
    public TimeSpan ResponseTimeout { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>Longest silence in the middle of a body before the connection counts as dead.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Bytes of one PATCH; also the memory of one upload. Larger than the minimum that storage back ends ask for (S3: 5 MiB parts)
    /// and small enough that repeating one is cheap. Blobs up to this size go in one PUT.
    /// </summary>
    public int UploadChunkSize { get; init; } = 16 * 1024 * 1024;
}
