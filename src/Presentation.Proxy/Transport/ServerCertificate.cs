using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;

namespace Starlight.Presentation.Proxy.Transport;

/// <summary>
/// The proxy's certificate: PEM files, the certificate's with the chain below the root. New connections get the files' newest good version; open ones keep what they have.
/// </summary>
internal sealed class ServerCertificate
{
    /// <summary>Earlier than this before the end somebody should have renewed it. Arbitrary: half of what ACME clients leave.</summary>
    private static readonly TimeSpan Warning = TimeSpan.FromDays(14);

    private readonly ChangingFile<SslStreamCertificateContext> _files;

    /// <exception cref="FailureException">InvalidInput <c>Tls.CertificateUnusable</c>.</exception>
    public ServerCertificate(string certificate, string key, TimeProvider time, ILogger<ServerCertificate> logger) =>
        _files = new ChangingFile<SslStreamCertificateContext>([certificate, key], () => Load(certificate, key, time, logger), time, logger);

    /// <summary>When the certificate in use ends.</summary>
    public DateTimeOffset Expires => new(_files.Value.TargetCertificate.NotAfter.ToUniversalTime());

    /// <summary>For one handshake.</summary>
    public SslServerAuthenticationOptions Options => new()
    {
        ServerCertificateContext = _files.Value,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ClientCertificateRequired = false,
    };

    private static SslStreamCertificateContext Load(string certificate, string key, TimeProvider time, ILogger logger)
    {
        try
        {
            X509Certificate2 leaf = X509Certificate2.CreateFromPemFile(certificate, key);
            X509Certificate2Collection chain = [];
            chain.ImportFromPemFile(certificate);
            DateTimeOffset expires = new(leaf.NotAfter.ToUniversalTime());
            if (expires < time.GetUtcNow() + Warning)
            {
                ProxyLog.CertificateExpires(logger, certificate, expires);
            }

            // Offline: the chain is in the file; nothing is downloaded while a handshake waits.
            return SslStreamCertificateContext.Create(leaf, [.. chain.Skip(1)], offline: true);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new FailureException(
                new Error("Tls.CertificateUnusable", $"the certificate {certificate} with the key {key} cannot be used: {e.Message}; both must be PEM, and belong together", ErrorKind.InvalidInput), e);
        }
    }
}
