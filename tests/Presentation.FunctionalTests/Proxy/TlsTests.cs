using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

public sealed class TlsTests : IAsyncLifetime
{
    private readonly ScratchDirectory _directory = new();
    private TestCertificates _certificates = null!;
    private RunningProxy _proxy = null!;

    public async Task InitializeAsync()
    {
        _certificates = new TestCertificates(_directory.Path);
        _certificates.Issue("127.0.0.1");
        _proxy = await RunningProxy.StartAsync(new CommandLineSettings { TlsCertificate = _certificates.CertificateFile, TlsKey = _certificates.KeyFile });
    }

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        _certificates.Dispose();
        _directory.Dispose();
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 0)]
    public async Task OnePort_OverTls_ServesBothVersionsOfHttp(int major, int minor)
    {
        using HttpClient client = Client();
        using HttpRequestMessage request = new(HttpMethod.Get, "/health-check") { Version = new Version(major, minor), VersionPolicy = HttpVersionPolicy.RequestVersionExact };

        using HttpResponseMessage answer = await client.SendAsync(request);

        (answer.StatusCode, answer.Version).ShouldBe((HttpStatusCode.OK, new Version(major, minor)));
    }

    /// <summary>Neither version of HTTP gets an answer in the clear, with prior knowledge or without.</summary>
    [Theory]
    [InlineData("GET /health-check HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0")]
    public async Task PlainText_OnTheTlsPort_IsNotAnswered(string request)
    {
        using TcpClient client = new();
        await client.ConnectAsync(_proxy.Address.Host, _proxy.Address.Port);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(System.Text.Encoding.Latin1.GetBytes(request));
        byte[] answer = new byte[64];
        int length;
        try
        {
            length = await stream.ReadAtLeastAsync(answer, answer.Length, throwOnEndOfStream: false);
        }
        catch (IOException)
        {
            length = 0;
        }

        System.Text.Encoding.Latin1.GetString(answer, 0, length).ShouldNotContain("HTTP");
        length.ShouldBeLessThan(9);
    }

    [Fact]
    public async Task Certificate_WhenReplaced_IsUsedByNewConnectionsAndOldOnesLive()
    {
        (SslStream old, string before) = await ConnectAsync();
        string renewed = _certificates.Issue("127.0.0.1");
        before.ShouldNotBe(renewed);

        await Probe.UntilAsync(
            async () =>
            {
                (SslStream stream, string thumbprint) = await ConnectAsync();
                await stream.DisposeAsync();
                return thumbprint == renewed;
            },
            "the new certificate is served");

        await old.WriteAsync("GET /health-check HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"u8.ToArray());
        using StreamReader reader = new(old);
        (await reader.ReadLineAsync()).ShouldBe("HTTP/1.1 200 OK");
    }

    [Fact]
    public async Task Certificate_WhenTheNewOneDoesNotFitItsKey_StaysTheOldOne()
    {
        string key = await File.ReadAllTextAsync(_certificates.KeyFile);
        string good = (await ConnectAsync()).Thumbprint;
        _certificates.Issue("127.0.0.1");
        await File.WriteAllTextAsync(_certificates.KeyFile, key);

        (await ConnectAsync()).Thumbprint.ShouldBe(good);
    }

    [Fact]
    public async Task Start_WhenTheCertificateCannotBeUsed_SaysWhy()
    {
        await File.WriteAllTextAsync(_certificates.KeyFile, "no key");

        Domain.SharedKernel.FailureException failure = await Should.ThrowAsync<Domain.SharedKernel.FailureException>(_proxy.RestartAsync);

        failure.Error.Code.ShouldBe("Tls.CertificateUnusable");
    }

    private HttpClient Client()
    {
        X509ChainPolicy policy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(_certificates.AuthorityFile);
        return new HttpClient(new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy } }) { BaseAddress = _proxy.Address };
    }

    private async Task<(SslStream Stream, string Thumbprint)> ConnectAsync()
    {
        TcpClient client = new();
        await client.ConnectAsync(_proxy.Address.Host, _proxy.Address.Port);
        string thumbprint = "";
        SslStream stream = new(client.GetStream(), leaveInnerStreamOpen: false, (_, certificate, _, _) =>
        {
            thumbprint = certificate!.GetCertHashString();
            return true;
        });
        await stream.AuthenticateAsClientAsync(_proxy.Address.Host);
        return (stream, thumbprint);
    }
}
