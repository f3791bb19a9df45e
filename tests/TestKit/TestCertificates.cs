using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Starlight.TestKit;

/// <summary>A certificate authority of one test, and server certificates by it, as PEM files in a directory.</summary>
public sealed class TestCertificates : IDisposable
{
    private readonly string _directory;
    private readonly X509Certificate2 _authority;

    public TestCertificates(string directory)
    {
        _directory = directory;
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new($"CN=Starlight test authority {Guid.NewGuid():N}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        _authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddYears(-3), DateTimeOffset.UtcNow.AddYears(3));
        AuthorityFile = Path.Combine(directory, $"ca-{_authority.Thumbprint[..8]}.pem");
        File.WriteAllText(AuthorityFile, _authority.ExportCertificatePem());
    }

    /// <summary>What clients trust.</summary>
    public string AuthorityFile { get; }

    public string CertificateFile => Path.Combine(_directory, "tls.crt");

    public string KeyFile => Path.Combine(_directory, "tls.key");

    /// <summary>Writes, or replaces atomically, the server's files.</summary>
    /// <param name="name">A DNS name or IP address.</param>
    /// <param name="validFrom">Days from now.</param>
    /// <param name="validTo">Days from now.</param>
    /// <returns>The certificate's thumbprint.</returns>
    public string Issue(string name, int validFrom = -1, int validTo = 30)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new($"CN={name}", key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        if (IPAddress.TryParse(name, out IPAddress? address))
        {
            names.AddIpAddress(address);
        }
        else
        {
            names.AddDnsName(name);
        }

        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 certificate = request.Create(_authority, DateTimeOffset.UtcNow.AddDays(validFrom), DateTimeOffset.UtcNow.AddDays(validTo), RandomNumberGenerator.GetBytes(8));
        Replace(KeyFile, key.ExportPkcs8PrivateKeyPem());
        Replace(CertificateFile, certificate.ExportCertificatePem() + "\n" + _authority.ExportCertificatePem());
        return certificate.Thumbprint;
    }

    public void Dispose() => _authority.Dispose();

    private static void Replace(string path, string text)
    {
        File.WriteAllText(path + ".new", text);
        File.Move(path + ".new", path, overwrite: true);
    }
}
