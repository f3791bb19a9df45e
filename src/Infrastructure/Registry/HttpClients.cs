using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Reflection;

namespace Starlight.Infrastructure.Registry;

/// <summary>The HTTP stack under every registry client: no automatic redirects (they need care with logins), no cookies, no decompression (blobs are stored bytes).</summary>
internal static class HttpClients
{
    /// <summary>So that a registry's change of address is noticed by a daemon that runs for months.</summary>
    private static readonly TimeSpan ConnectionLifetime = TimeSpan.FromMinutes(10);

    private static readonly ProductInfoHeaderValue UserAgent =
        new("starlight", typeof(HttpClients).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0");

    /// <param name="options">Time limits.</param>
    /// <param name="checkCertificates">False only for registries that the user called insecure.</param>
    public static HttpClient Create(RegistryOptions options, bool checkCertificates)
    {
        SocketsHttpHandler handler = new()
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = options.ConnectTimeout,
            PooledConnectionLifetime = ConnectionLifetime,
            Proxy = new DirectToLoopbackProxy(HttpClient.DefaultProxy),
            SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = checkCertificates ? null : (_, _, _, _) => true },
        };

        // Time limits are set per request: a blob of gigabytes has no sensible total.
        HttpClient client = new(handler) { Timeout = Timeout.InfiniteTimeSpan };
        client.DefaultRequestHeaders.UserAgent.Add(UserAgent);
        return client;
    }

    /// <summary>HTTP_PROXY and its like, except for loopback, which a proxy elsewhere cannot reach.</summary>
    private sealed class DirectToLoopbackProxy(IWebProxy inner) : IWebProxy
    {
        public ICredentials? Credentials
        {
            get => inner.Credentials;
            set => inner.Credentials = value;
        }

        public Uri? GetProxy(Uri destination) => IsBypassed(destination) ? null : inner.GetProxy(destination);

        public bool IsBypassed(Uri host) => RegistryEndpoint.IsLoopback(host) || inner.IsBypassed(host);
    }
}
