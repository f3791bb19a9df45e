using System.Net;
using Starlight.Domain.References;

namespace Starlight.Infrastructure.Registry;

/// <summary>
/// Where a registry's API is. <see cref="Candidates"/> are tried in order until one speaks HTTP; only a registry that the user called insecure has more than one.
/// </summary>
internal sealed record RegistryEndpoint(string Registry, IReadOnlyList<Uri> Candidates, bool Insecure)
{
    /// <summary>docker.io is a name, not a host that serves the API.</summary>
    private const string DockerHubHost = "registry-1.docker.io";

    /// <summary>Loopback hosts speak plain HTTP unless told otherwise, as with Docker and containerd: nobody else can listen.</summary>
    public static RegistryEndpoint For(string registry, bool insecure)
    {
        string host = registry == ImageReference.DefaultRegistry ? DockerHubHost : registry;
        Uri https = new($"https://{host}/");
        Uri http = new($"http://{host}/");
        IReadOnlyList<Uri> candidates = insecure ? [https, http] : IsLoopback(https) ? [http] : [https];
        return new RegistryEndpoint(registry, candidates, insecure);
    }

    /// <summary>localhost, 127.0.0.0/8 and ::1, by name only: a name that merely resolves there may resolve elsewhere tomorrow.</summary>
    public static bool IsLoopback(Uri uri) =>
        string.Equals(uri.IdnHost, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(uri.IdnHost, out IPAddress? address) && IPAddress.IsLoopback(address));

    /// <summary>Scheme, host and port are the same: what may see this registry's credentials.</summary>
    public static bool IsSameOrigin(Uri left, Uri right) =>
        left.Scheme == right.Scheme && left.Port == right.Port && string.Equals(left.IdnHost, right.IdnHost, StringComparison.OrdinalIgnoreCase);
}
