using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Proxies;

/// <summary>How a worker reaches one Starlight proxy. Profiles live in the daemon's configuration file, which is readable by root alone.</summary>
public sealed record ProxyProfile
{
    private ProxyProfile(string name, Uri endpoint, string? user, string? password, string? token, string? authorityFile)
    {
        Name = name;
        Endpoint = endpoint;
        User = user;
        Password = password;
        Token = token;
        AuthorityFile = authorityFile;
    }

    public string Name { get; }

    /// <summary><c>http://host:port/</c> or <c>https://host[:port]/</c>, possibly with a path below which the proxy is served.</summary>
    public Uri Endpoint { get; }

    /// <summary>HTTP Basic user, or null for an open proxy.</summary>
    public string? User { get; }

    public string? Password { get; }

    /// <summary>Bearer token instead of user and password, or null.</summary>
    public string? Token { get; }

    /// <summary>PEM file of the only certificate authorities that may vouch for this proxy; null for those that the machine trusts.</summary>
    public string? AuthorityFile { get; }

    /// <param name="name">What <c>--profile</c> names it by: letters, digits, <c>.</c>, <c>_</c>, <c>-</c>.</param>
    /// <param name="protocol"><c>http</c> or <c>https</c>.</param>
    /// <param name="address"><c>host</c>, <c>host:port</c>, optionally followed by a path.</param>
    /// <param name="user">HTTP Basic user, or null or empty for none.</param>
    /// <param name="password">HTTP Basic password.</param>
    /// <param name="token">Bearer token; excludes a user.</param>
    /// <param name="authorityFile">Absolute path; only with <c>https</c>.</param>
    public static Result<ProxyProfile> Create(string? name, string? protocol, string? address, string? user, string? password, string? token = null, string? authorityFile = null)
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

        if (!string.IsNullOrEmpty(user) && !string.IsNullOrEmpty(token))
        {
            return Invalid($"profile '{name}' has both a user and a token: give it one of them");
        }

        if (!string.IsNullOrEmpty(token) && !token.All(c => c is > ' ' and < '\x7f'))
        {
            return Invalid($"the token of profile '{name}' has spaces or characters outside ASCII: copy it again");
        }

        if (!string.IsNullOrEmpty(authorityFile) && (protocol != "https" || !authorityFile.StartsWith('/')))
        {
            return Invalid($"profile '{name}' names the certificate authority '{authorityFile}': that takes https and the absolute path of a PEM file");
        }

        bool hasUser = !string.IsNullOrEmpty(user);
        return new ProxyProfile(
            name, endpoint, hasUser ? user : null, hasUser ? password ?? "" : null, string.IsNullOrEmpty(token) ? null : token, string.IsNullOrEmpty(authorityFile) ? null : authorityFile);
    }

    /// <summary>The same with these authorities, if it has none of its own and speaks HTTPS.</summary>
    public ProxyProfile OrAuthority(string? authorityFile) =>
        AuthorityFile is null && Endpoint.Scheme == Uri.UriSchemeHttps ? new ProxyProfile(Name, Endpoint, User, Password, Token, authorityFile) : this;

    /// <summary>Never shows password or token.</summary>
    public override string ToString() => $"{Name} ({Endpoint})";

    private static Error Invalid(string message) => new("Proxy.ProfileInvalid", message, ErrorKind.InvalidInput);
}
