using System.Collections.Concurrent;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Starlight.Domain.Proxies;

namespace Starlight.Infrastructure.ProxyClient;

internal enum CertificateFault
{
    Untrusted,
    Expired,
    OtherName,
}

/// <summary>Why a proxy's certificate was not accepted.</summary>
/// <param name="Detail">Continues "its certificate …".</param>
internal sealed record CertificateRefusal(CertificateFault Reason, string Detail);

/// <summary>
/// The connections to proxies, a pool for each set of certificate authorities to trust. A changed file of authorities counts from the next request on; answers
/// under way keep their connection. Safe for concurrent use.
/// </summary>
internal sealed class ProxyConnections(TimeProvider time) : IDisposable
{
    private readonly ConcurrentDictionary<(string File, DateTime Changed), Lazy<Pool>> _pools = new();

    public Pool For(ProxyProfile proxy)
    {
        string file = proxy.AuthorityFile ?? "";
        if (File.Exists(file))
        {
            // A mounted secret is a link whose target changes.
            file = File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? file;
        }

        DateTime changed = file.Length == 0 ? default : File.GetLastWriteTimeUtc(file);
        Lazy<Pool> pool = _pools.GetOrAdd((file, changed), _ => new Lazy<Pool>(() => new Pool(file.Length == 0 ? null : Read(proxy), time)));
        try
        {
            return pool.Value;
        }
        catch
        {
            // A failed Lazy would repeat its failure after the file was mended within one clock tick.
            _pools.TryRemove((file, changed), out _);
            throw;
        }
    }

    public void Dispose()
    {
        foreach (Lazy<Pool> pool in _pools.Values.Where(p => p.IsValueCreated))
        {
            pool.Value.Dispose();
        }
    }

    private static X509Certificate2Collection Read(ProxyProfile proxy)
    {
        X509Certificate2Collection authorities = [];
        try
        {
            authorities.ImportFromPemFile(proxy.AuthorityFile!);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw ProxyErrors.AuthorityUnusable(proxy, e.Message, e);
        }

        return authorities.Count > 0 ? authorities : throw ProxyErrors.AuthorityUnusable(proxy, "there is no certificate in it", cause: null);
    }

    internal sealed class Pool : IDisposable
    {
        private readonly ConcurrentDictionary<string, ProxyLine> _lines = new(StringComparer.OrdinalIgnoreCase);
        private readonly SslClientAuthenticationOptions _tls;
        private readonly TimeProvider _time;

        /// <summary>By host, why its certificate was last refused: the handshake's own exception does not say.</summary>
        private readonly ConcurrentDictionary<string, CertificateRefusal> _refusals = new(StringComparer.OrdinalIgnoreCase);

        /// <param name="authorities">Null: those that the machine trusts.</param>
        /// <param name="time">Clock of the connections' quiet.</param>
        public Pool(X509Certificate2Collection? authorities, TimeProvider time)
        {
            SslClientAuthenticationOptions tls = new() { RemoteCertificateValidationCallback = Accept };
            if (authorities is not null)
            {
                tls.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
                tls.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
            }

            _tls = tls;
            _time = time;
        }

        /// <summary>The connections to the proxy there; profiles of one proxy share them.</summary>
        public ProxyLine LineTo(Uri endpoint) => _lines.GetOrAdd(endpoint.GetLeftPart(UriPartial.Authority), _ => new ProxyLine(_tls, _time));

        public void Dispose()
        {
            foreach (ProxyLine line in _lines.Values)
            {
                line.Dispose();
            }
        }

        public CertificateRefusal? RefusalOf(string host) => _refusals.GetValueOrDefault(host);

        private bool Accept(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
        {
            string host = ((SslStream)sender).TargetHostName;
            if (errors == SslPolicyErrors.None)
            {
                _refusals.TryRemove(host, out _);
                return true;
            }

            _refusals[host] = Explain(host, certificate as X509Certificate2, chain, errors);
            return false;
        }

        private static CertificateRefusal Explain(string host, X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors errors)
        {
            if (certificate is null)
            {
                return new CertificateRefusal(CertificateFault.Untrusted, "is missing");
            }

            DateTime now = DateTime.UtcNow;
            foreach (X509ChainElement element in chain?.ChainElements.Where(e => e.ChainElementStatus.Any(s => s.Status == X509ChainStatusFlags.NotTimeValid)) ?? [])
            {
                string whose = element.Certificate.Thumbprint == certificate.Thumbprint ? "" : $"or rather that of {element.Certificate.Subject}, which vouches for it, ";
                return new CertificateRefusal(CertificateFault.Expired, element.Certificate.NotAfter.ToUniversalTime() < now
                    ? $"{whose}expired on {element.Certificate.NotAfter.ToUniversalTime():u}"
                    : $"{whose}is valid only from {element.Certificate.NotBefore.ToUniversalTime():u}");
            }

            if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
            {
                string why = string.Join(", ", chain?.ChainStatus.Select(s => s.Status).Distinct() ?? []);
                return new CertificateRefusal(CertificateFault.Untrusted, $"comes from {certificate.Issuer}, whom this machine does not trust ({why})");
            }

            X509SubjectAlternativeNameExtension? names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
            string[] valid = names is null ? [] : [.. names.EnumerateDnsNames(), .. names.EnumerateIPAddresses().Select(a => a.ToString())];
            return new CertificateRefusal(CertificateFault.OtherName, $"for {(valid.Length == 0 ? certificate.Subject : string.Join(", ", valid))}, not for {host}");
        }
    }
}
