using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.ProxyClient;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>The daemon's client against the proxy itself: whom it trusts, how it logs in, how it waits.</summary>
public sealed class ProxyClientTests : IAsyncLifetime
{
    private readonly ScratchDirectory _directory = new();
    private readonly StarlightProxyClient _client = new();
    private TestCertificates _certificates = null!;
    private RunningProxy? _proxy;

    public Task InitializeAsync()
    {
        _certificates = new TestCertificates(_directory.Path);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        if (_proxy is not null)
        {
            await _proxy.DisposeAsync();
        }

        _certificates.Dispose();
        _directory.Dispose();
    }

    [Theory]
    [InlineData("127.0.0.1", -1, 30, true, null)]
    [InlineData("127.0.0.1", -1, 30, false, "Proxy.CertificateUntrusted")]
    [InlineData("proxy.example.com", -1, 30, true, "Proxy.CertificateName")]
    [InlineData("127.0.0.1", -30, -2, true, "Proxy.CertificateExpired")]
    [InlineData("127.0.0.1", 2, 30, true, "Proxy.CertificateExpired")]
    public async Task Ping_ForEachKindOfCertificate_WorksOrSaysWhatIsWrong(string name, int validFrom, int validTo, bool trusted, string? code)
    {
        _certificates.Issue(name, validFrom, validTo);
        await StartTlsAsync();

        Error? error = await ErrorOfAsync(() => _client.PingAsync(Profile(trusted ? _certificates.AuthorityFile : null), CancellationToken.None));

        error?.Code.ShouldBe(code);
        (error is null).ShouldBe(code is null, error?.Message);
        if (code == "Proxy.CertificateName")
        {
            error!.Message.ShouldContain("proxy.example.com");
        }
    }

    /// <summary>Named authorities are the only ones: one that is good for something else does not vouch for this proxy.</summary>
    [Fact]
    public async Task Ping_WhenAnotherAuthorityIsNamed_IsRefusedUntilTheFileHasTheRightOne()
    {
        _certificates.Issue("127.0.0.1");
        await StartTlsAsync();
        using ScratchDirectory elsewhere = new();
        using TestCertificates others = new(elsewhere.Path);
        ProxyProfile profile = Profile(others.AuthorityFile);

        (await ErrorOfAsync(() => _client.PingAsync(profile, CancellationToken.None)))!.Code.ShouldBe("Proxy.CertificateUntrusted");
        File.Copy(_certificates.AuthorityFile, others.AuthorityFile, overwrite: true);
        File.SetLastWriteTimeUtc(others.AuthorityFile, DateTime.UtcNow.AddMinutes(1));
        await _client.PingAsync(profile, CancellationToken.None);
        await File.WriteAllTextAsync(others.AuthorityFile, "nothing");
        (await ErrorOfAsync(() => _client.PingAsync(profile, CancellationToken.None)))!.Code.ShouldBe("Proxy.AuthorityUnusable");
    }

    [Theory]
    [InlineData("edge", "secret", null, "Access.RoleMissing")]
    [InlineData("edge", "wrong", null, "Access.CredentialsWrong")]
    [InlineData(null, null, "slp_right", "Access.RoleMissing")]
    [InlineData(null, null, "slp_wrong", "Access.CredentialsWrong")]
    [InlineData(null, null, null, "Access.CredentialsMissing")]
    public async Task Notify_ForEachKindOfLogin_GivesTheProxysAnswer(string? user, string? password, string? token, string code)
    {
        string accounts = _directory["accounts.json"];
        new AccountsFile
        {
            Accounts = [new AccountEntry { Name = "edge", Roles = [Roles.Pull], Password = PasswordHash.Create("secret", 10_000).ToString(), Token = AccessToken.DigestOf("slp_right") }],
        }.Write(accounts);
        _proxy = await RunningProxy.StartAsync(new CommandLineSettings { Accounts = accounts });
        ProxyProfile profile = ProxyProfile.Create("p", "http", _proxy.Address.Authority, user, password, token).Value;

        (await ErrorOfAsync(() => NotifyAsync(profile)))!.Code.ShouldBe(code);
        (await ErrorOfAsync(() => _client.PingAsync(profile, CancellationToken.None)))?.Code.ShouldBe("Access.CredentialsWrong");
    }

    [Fact]
    public async Task Request_WhenTheProxyHasTooMuchToDo_WaitsAsLongAsItIsTold()
    {
        _proxy = await RunningProxy.StartAsync(new CommandLineSettings(), """{ "rate_limit": 1, "rate_burst": 1 }""");
        ProxyProfile profile = ProxyProfile.Create("p", "http", _proxy.Address.Authority, user: null, password: null).Value;
        (await ErrorOfAsync(() => NotifyAsync(profile)))!.Code.ShouldStartWith("Registry.");

        using HttpResponseMessage refused = await _proxy.Http.GetAsync("/starlight/delta");
        (int status, string code, _) = await RunningProxy.ProblemAsync(refused);
        (status, code).ShouldBe((429, "Access.TooManyRequests"));
        refused.Headers.RetryAfter!.Delta!.Value.ShouldBeInRange(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2));

        // the client does not show that to anybody
        (await ErrorOfAsync(() => NotifyAsync(profile)))!.Code.ShouldStartWith("Registry.");
        (await _proxy.Http.GetAsync("/health-check")).IsSuccessStatusCode.ShouldBeTrue("health is not limited");
    }

    private static async Task<Error?> ErrorOfAsync(Func<Task> action)
    {
        try
        {
            await action();
            return null;
        }
        catch (FailureException e)
        {
            return e.Error;
        }
    }

    /// <summary>Nothing listens there: what the proxy answers after it has let the request in.</summary>
    private Task NotifyAsync(ProxyProfile profile) => _client.NotifyAsync(profile, ImageReference.Parse("starlight-test.invalid/app:1").Value, [], insecure: false, progress: null, CancellationToken.None);

    private async Task StartTlsAsync() => _proxy = await RunningProxy.StartAsync(new CommandLineSettings { TlsCertificate = _certificates.CertificateFile, TlsKey = _certificates.KeyFile });

    private ProxyProfile Profile(string? authority) => ProxyProfile.Create("p", "https", _proxy!.Address.Authority, user: null, password: null, token: null, authority).Value;
}
