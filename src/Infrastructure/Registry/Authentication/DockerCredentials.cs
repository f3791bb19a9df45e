using System.Text;
using System.Text.Json;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Registry.Authentication;

/// <summary>
/// Finds the login for a registry: the options' own table, their secret directories and login files, then Docker's <c>config.json</c>; in such a file in Docker's order:
/// <c>credHelpers</c>, <c>credsStore</c>, <c>auths</c> (docs.docker.com/reference/cli/docker/login). Files are read each time, so a new <c>docker login</c> or a
/// rotated secret works without a restart: a login is looked for whenever a token has expired or the registry has answered 401.
/// </summary>
internal sealed class DockerCredentials(RegistryOptions options)
{
    /// <summary>Docker Hub's key has been this address since the first version of its protocol.</summary>
    private const string DockerHubKey = "https://index.docker.io/v1/";

    private const string DockerName = "config.json";

    /// <summary>The key, and so the file, of a secret of type <c>kubernetes.io/dockerconfigjson</c>.</summary>
    private const string KubernetesName = ".dockerconfigjson";

    /// <returns>Null if there is none: requests are anonymous.</returns>
    public async Task<RegistryLogin?> FindAsync(string registry, CancellationToken cancellationToken)
    {
        foreach ((string host, RegistryCredential credential) in options.Credentials)
        {
            if (HostOf(host) == HostOf(registry))
            {
                return new RegistryLogin { Username = credential.Username, Password = credential.Password, Origin = "the configuration" };
            }
        }

        foreach ((string host, string directory) in options.SecretDirectories)
        {
            if (HostOf(host) == HostOf(registry))
            {
                return await FromSecretAsync(directory, cancellationToken);
            }
        }

        foreach (string given in options.LoginFiles)
        {
            string file = !Directory.Exists(given) ? given : File.Exists(Path.Combine(given, KubernetesName)) ? Path.Combine(given, KubernetesName) : Path.Combine(given, DockerName);
            if (await FromFileAsync(file, registry, cancellationToken) is { } login)
            {
                return login;
            }
        }

        if (options.LoginText is { } text && await FromTextAsync("DOCKER_AUTH_CONFIG", Encoding.UTF8.GetBytes(text), registry, cancellationToken) is { } fromText)
        {
            return fromText;
        }

        return await FromFileAsync(Path.Combine(ConfigDirectory(), DockerName), registry, cancellationToken);
    }

    private static async Task<RegistryLogin> FromSecretAsync(string directory, CancellationToken cancellationToken)
    {
        string path = directory;
        try
        {
            string username = await File.ReadAllTextAsync(path = Path.Combine(directory, "username"), cancellationToken);
            string password = await File.ReadAllTextAsync(path = Path.Combine(directory, "password"), cancellationToken);

            // Editors and echo end files with a line feed; no user name or password does.
            return new RegistryLogin { Username = username.TrimEnd('\r', '\n'), Password = password.TrimEnd('\r', '\n'), Origin = directory };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(path, e.Message, e);
        }
    }

    private static async Task<RegistryLogin?> FromFileAsync(string path, string registry, CancellationToken cancellationToken)
    {
        byte[] raw;
        try
        {
            raw = await File.ReadAllBytesAsync(path, cancellationToken);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(path, e.Message, e);
        }

        return await FromTextAsync(path, raw, registry, cancellationToken);
    }

    private static async Task<RegistryLogin?> FromTextAsync(string path, byte[] raw, string registry, CancellationToken cancellationToken)
    {
        using JsonDocument document = Parse(path, raw);
        JsonElement root = document.RootElement;
        string? helper = Lookup(Section(root, "credHelpers"), registry) is { ValueKind: JsonValueKind.String } own
            ? own.GetString()
            : root.TryGetProperty("credsStore", out JsonElement store) && store.ValueKind == JsonValueKind.String ? store.GetString() : null;
        if (!string.IsNullOrEmpty(helper))
        {
            string server = registry == ImageReference.DefaultRegistry ? DockerHubKey : registry;
            if (await CredentialHelper.GetAsync(helper, server, cancellationToken) is { } login)
            {
                return login;
            }
        }

        return Lookup(Section(root, "auths"), registry) is { ValueKind: JsonValueKind.Object } entry ? FromEntry(path, entry) : null;
    }

    /// <summary>
    /// The host that a key stands for: keys may be hosts or whole addresses (<c>https://registry.example/v1/</c>); Docker Hub has several names.
    /// </summary>
    internal static string HostOf(string key)
    {
        string host = key;
        int scheme = host.IndexOf("://", StringComparison.Ordinal);
        host = scheme < 0 ? host : host[(scheme + 3)..];
        int slash = host.IndexOf('/', StringComparison.Ordinal);
        host = (slash < 0 ? host : host[..slash]).ToLowerInvariant();
        return host is "index.docker.io" or "registry-1.docker.io" ? ImageReference.DefaultRegistry : host;
    }

    private string ConfigDirectory()
    {
        string? directory = options.DockerConfigDirectory ?? Environment.GetEnvironmentVariable("DOCKER_CONFIG");
        return string.IsNullOrEmpty(directory) ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".docker") : directory;
    }

    private static JsonDocument Parse(string path, byte[] raw)
    {
        JsonDocument? document = null;
        try
        {
            document = JsonDocument.Parse(raw, new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return document;
            }
        }
        catch (JsonException e)
        {
            throw Failure(path, $"line {e.LineNumber + 1} is not JSON", inner: null);
        }

        document.Dispose();
        throw Failure(path, "it is not a JSON object", inner: null);
    }

    private static JsonElement Section(JsonElement root, string name) =>
        root.TryGetProperty(name, out JsonElement section) && section.ValueKind == JsonValueKind.Object ? section : default;

    private static JsonElement? Lookup(JsonElement section, string registry)
    {
        if (section.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        string exact = registry == ImageReference.DefaultRegistry ? DockerHubKey : registry;
        if (section.TryGetProperty(exact, out JsonElement found))
        {
            return found;
        }

        foreach (JsonProperty property in section.EnumerateObject())
        {
            if (HostOf(property.Name) == HostOf(registry))
            {
                return property.Value;
            }
        }

        return null;
    }

    private static RegistryLogin? FromEntry(string path, JsonElement entry)
    {
        string? Text(string name) => entry.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;
        string? username = Text("username");
        string? password = Text("password");
        if (Text("auth") is { } auth)
        {
            byte[] decoded = new byte[auth.Length];
            if (!Convert.TryFromBase64String(auth, decoded, out int length))
            {
                throw Failure(path, "an 'auth' field is not base64", inner: null);
            }

            string pair = Encoding.UTF8.GetString(decoded, 0, length);
            int colon = pair.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0)
            {
                throw Failure(path, "an 'auth' field is not user:password", inner: null);
            }

            // Docker itself has written NUL padding behind the password.
            (username, password) = (pair[..colon], pair[(colon + 1)..].TrimEnd('\0'));
        }

        RegistryLogin login = new() { Username = username, Password = password, IdentityToken = Text("identitytoken"), RegistryToken = Text("registrytoken"), Origin = path };
        return login.HasPassword || login.IdentityToken is not null || login.RegistryToken is not null ? login : null;
    }

    private static FailureException Failure(string path, string why, Exception? inner) => new(
        new Error("Registry.CredentialsMalformed", $"{path} cannot be read: {why}; correct it or log in again with 'docker login'", ErrorKind.FailedPrecondition), inner);
}
