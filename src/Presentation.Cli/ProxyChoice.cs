using System.CommandLine;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Cli;

/// <summary>Which proxy a command talks to: a profile of the daemon, or one named directly.</summary>
internal sealed class ProxyChoice
{
    public Option<string> Profile { get; } = new("--profile", "-p") { Description = "proxy profile of the daemon [default: the default profile]" };

    public Option<string> Url { get; } = new("--proxy") { Description = "talk to this proxy directly, without a daemon: http[s]://[user:password@]host[:port]; a bearer token is taken from STARLIGHT_PROXY_TOKEN" };

    public Option<string> Authority { get; } = new("--proxy-ca") { Description = "for a proxy named by its URL: PEM file of the only certificate authorities to trust [env STARLIGHT_PROXY_CA]", HelpName = "FILE" };

    /// <summary>The proxy of <c>--proxy</c>, or null if it is not given.</summary>
    public ProxyProfile? DirectOf(ParseResult parse) => parse.GetValue(Url) is { } url ? Direct(parse, url) : null;

    /// <summary>A proxy named by its URL.</summary>
    public ProxyProfile Direct(ParseResult parse, string url)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? uri))
        {
            throw new FailureException(new Error("Proxy.ProfileInvalid", $"'{url}' is not a proxy URL: write http://host:port or https://host", ErrorKind.InvalidInput));
        }

        string[] account = uri.UserInfo.Split(':', 2);
        string? token = Environment.GetEnvironmentVariable("STARLIGHT_PROXY_TOKEN");
        string? authority = parse.GetValue(Authority) ?? Environment.GetEnvironmentVariable("STARLIGHT_PROXY_CA");
        return ProxyProfile.Create(
            "command-line",
            uri.Scheme,
            uri.Authority + uri.AbsolutePath.TrimEnd('/'),
            Uri.UnescapeDataString(account[0]),
            account.Length > 1 ? Uri.UnescapeDataString(account[1]) : null,
            account[0].Length == 0 ? token : null,
            uri.Scheme == Uri.UriSchemeHttps && !string.IsNullOrEmpty(authority) ? Path.GetFullPath(authority) : null).Value;
    }
}
