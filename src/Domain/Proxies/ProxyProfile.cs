using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Proxies;

/// <summary>How a worker reaches one Starlight proxy. Profiles live in the daemon's configuration file, which is readable by root alone.</summary>
public sealed record ProxyProfile
{
    private ProxyProfile(string name, Uri endpoint, string? user, string? password)
    {
        Name = name;
        Endpoint = endpoint;
        User = user;
        Password = password;
    }

    public string Name { get; }

    /// <summary><c>http://host:port/</c> or <c>https://host[:port]/</c>, possibly with a path below which the proxy is served.</summary>
    public Uri Endpoint { get; }

    /// <summary>HTTP Basic user, or null for an open proxy.</summary>
    public string? User { get; }

    public string? Password { get; }

    /// <param name="name">What <c>--profile</c> names it by: letters, digits, <c>.</c>, <c>_</c>, <c>-</c>.</param>
    /// <param name="protocol"><c>http</c> or <c>https</c>.</param>
    /// <param name="address"><c>host</c>, <c>host:port</c>, optionally followed by a path.</param>
    /// <param name="user">HTTP Basic user, or null or empty for none.</param>
    /// <param name="password">HTTP Basic password.</param>
    public static Result<ProxyProfile> Create(string? name, string? protocol, string? address, string? user, string? password)
    {
        if (string.IsNullOrEmpty(name) || name.Length > 128 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-'))
        {
            return Invalid($"'{name}' cannot name a proxy profile: use letters, digits, '.', '_' and '-'");
        }

        if (protocol is not ("http" or "https"))
        {
            return Invalid($"'{protocol}' is not a proxy protocol: use http or https");
        }

        if (string.IsNullOrEmpty(address)
            || !Uri.TryCreate($"{protocol}://{address.TrimEnd('/')}/", UriKind.Absolute, out Uri? endpoint)
            || endpoint.Host.Length == 0
            || endpoint.UserInfo.Length != 0
            || endpoint.Query.Length != 0
            || endpoint.Fragment.Length != 0)
        {
            return Invalid($"'{address}' is not a proxy address: use host or host:port");
        }

        return new ProxyProfile(name, endpoint, string.IsNullOrEmpty(user) ? null : user, string.IsNullOrEmpty(user) ? null : password ?? "");
    }

    /// <summary>Never shows the password.</summary>
    public override string ToString() => $"{Name} ({Endpoint})";

    private static Error Invalid(string message) => new("Proxy.ProfileInvalid", message, ErrorKind.InvalidInput);
}
