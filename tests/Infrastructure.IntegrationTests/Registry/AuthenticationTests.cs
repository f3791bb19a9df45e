using System.Text;
using Microsoft.AspNetCore.Http;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Registry;
using Starlight.TestKit;
using static Starlight.Infrastructure.IntegrationTests.Registry.RegistryHarness;

namespace Starlight.Infrastructure.IntegrationTests.Registry;

/// <summary>Bearer tokens, and above all where credentials must not go.</summary>
public sealed class AuthenticationTests : IAsyncLifetime
{
    private const string Manifest = """{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}""";

    private static readonly string AliceBasic = "Basic " + Convert.ToBase64String("alice:secret"u8);

    private readonly List<RegistryHarness> _harnesses = [];
    private FakeRegistry _registry = null!;
    private FakeRegistry _tokens = null!;
    private string _accepted = "t1";

    public async Task InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync();
        _tokens = await FakeRegistry.StartAsync();
        _registry.AddManifest("team/app", "1", Manifest, MediaTypes.OciManifest);
        _registry.RequireBearer($"{_tokens.Address}token?x=1", r => r.Headers.Authorization == "Bearer " + _accepted);
    }

    public async Task DisposeAsync()
    {
        foreach (RegistryHarness harness in _harnesses)
        {
            await harness.DisposeAsync();
        }

        await _registry.DisposeAsync();
        await _tokens.DisposeAsync();
    }

    [Fact]
    public async Task Bearer_Anonymous_FetchesATokenForServiceAndScope()
    {
        GiveToken("""{"token":"t1","expires_in":300}""");

        await ResolveAsync(Harness());

        SeenRequest asked = _tokens.Requests.ShouldHaveSingleItem();
        asked.Query.ShouldBe("?x=1&service=fake&scope=repository%3Ateam%2Fapp%3Apull");
        asked.Authorization.ShouldBeNull();
    }

    [Fact]
    public async Task Bearer_WithALogin_SendsItToTheTokenServerAndNotToTheRegistry()
    {
        GiveToken("""{"access_token":"t1"}""");

        await ResolveAsync(Harness("alice", "secret"));

        _tokens.Requests.ShouldHaveSingleItem().Authorization.ShouldBe(AliceBasic);
        _registry.Requests.ShouldAllBe(r => r.Authorization == null || r.Authorization == "Bearer t1");
    }

    [Fact]
    public async Task Bearer_IsKeptUntilItIsAboutToExpire()
    {
        GiveToken("""{"token":"t1","expires_in":100}""");
        RegistryHarness harness = Harness();

        await ResolveAsync(harness);
        await ResolveAsync(harness);
        harness.Time.Advance(TimeSpan.FromSeconds(80));
        await ResolveAsync(harness);
        _tokens.Requests.Count.ShouldBe(1);
        _registry.Requests.Count(r => r.Authorization is null).ShouldBe(1);

        harness.Time.Advance(TimeSpan.FromSeconds(11));
        await ResolveAsync(harness);
        _tokens.Requests.Count.ShouldBe(2);
    }

    [Fact]
    public async Task Bearer_WhenRefusedBeforeItsTime_IsRenewedOnce()
    {
        string next = "t1";
        GiveToken(() => $$"""{"token":"{{next}}","expires_in":3600}""");
        RegistryHarness harness = Harness();
        await ResolveAsync(harness);

        _accepted = next = "t2";
        await ResolveAsync(harness);

        _tokens.Requests.Count.ShouldBe(2);
    }

    [Fact]
    public async Task Bearer_WhenEveryTokenIsRefused_IsUnauthenticatedAndDoesNotLoop()
    {
        GiveToken("""{"token":"useless"}""");

        Error error = await FailureOfAsync(() => ResolveAsync(Harness()));

        error.Kind.ShouldBe(ErrorKind.Unauthenticated);
        _registry.Requests.Count.ShouldBe(2);
        _tokens.Requests.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Bearer_ForManyRequestsAtOnce_IsFetchedOnce()
    {
        GiveToken("""{"token":"t1","expires_in":300}""");
        IImageSource source = Harness().Source($"{_registry.Host}/team/app:1");

        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => source.ResolveAsync(CancellationToken.None)));

        _tokens.Requests.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Bearer_ForAMount_CoversBothRepositories()
    {
        GiveToken("""{"token":"t1"}""");

        await Harness().Destination($"{_registry.Host}/team/app:1").TryMountBlobAsync(Layer([1]), "base/image", CancellationToken.None);

        string query = Uri.UnescapeDataString(_tokens.Requests[0].Query);
        query.ShouldContain("scope=repository:team/app:pull,push");
        query.ShouldContain("scope=repository:base/image:pull");
    }

    [Fact]
    public async Task Bearer_WhenThePasswordIsWrong_SaysWhereItCameFrom()
    {
        _tokens.Fail("GET", "/token", 401);

        Error error = await FailureOfAsync(() => ResolveAsync(Harness("alice", "secret")));

        error.Kind.ShouldBe(ErrorKind.Unauthenticated);
        error.Message.ShouldContain("the configuration");
        error.Message.ShouldNotContain("secret");
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"token":"a\r\nX-Injected: 1"}""")]
    public async Task Bearer_WhenTheAnswerIsNoToken_IsUnavailableAndDoesNotQuoteIt(string answer)
    {
        GiveToken(answer);

        Error error = await FailureOfAsync(() => ResolveAsync(Harness()));

        error.Code.ShouldBe("Registry.TokenMalformed");
        error.Message.ShouldNotContain("Injected");
    }

    [Fact]
    public async Task Bearer_WhenTheTokenServerHasAPassingFault_IsRepeated()
    {
        _tokens.Fail("GET", "/token", 503, times: 2);
        GiveToken("""{"token":"t1"}""");

        await ResolveAsync(Harness());

        _tokens.Requests.Count.ShouldBe(3);
    }

    [Theory]
    [InlineData("http://evil.example/token")]
    [InlineData("ftp://127.0.0.1/token")]
    [InlineData("file:///etc/passwd")]
    [InlineData("https://user:pw@127.0.0.1/token")]
    [InlineData("token")]
    public async Task Realm_ThatMayNotSeeCredentials_IsRefusedBeforeAnythingIsSent(string realm)
    {
        await using FakeRegistry registry = await FakeRegistry.StartAsync();
        registry.RequireBearer(realm, _ => false);
        RegistryHarness harness = Harness(registry.Host, "alice", "secret");

        Error error = await FailureOfAsync(() => harness.Source($"{registry.Host}/team/app:1").ResolveAsync(CancellationToken.None));

        error.Code.ShouldBe("Registry.RealmRefused");
        harness.Time.Waits.ShouldBeEmpty();
    }

    [Fact]
    public async Task Realm_ThatIsPlainWhileTheRegistryIsTls_IsRefused()
    {
        await using FakeRegistry registry = await FakeRegistry.StartAsync(tls: true);
        registry.RequireBearer($"{_tokens.Address}token", _ => false);
        RegistryHarness harness = Harness(registry.Host, "alice", "secret");

        Error error = await FailureOfAsync(() => harness.Source($"{registry.Host}/team/app:1", insecure: true).ResolveAsync(CancellationToken.None));

        error.Code.ShouldBe("Registry.RealmRefused");
        _tokens.Requests.ShouldBeEmpty();
    }

    [Fact]
    public async Task Realm_ThatRedirects_IsNotFollowed()
    {
        await using FakeRegistry evil = await FakeRegistry.StartAsync(host: "localhost");
        _tokens.Redirect("/token", evil.Address);

        Error error = await FailureOfAsync(() => ResolveAsync(Harness("alice", "secret")));

        error.Code.ShouldBe("Registry.RealmRefused");
        evil.Requests.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    public async Task Redirect_ToAnotherOrigin_CarriesNoLogin(string host)
    {
        await using FakeRegistry storage = await FakeRegistry.StartAsync(host: host);
        byte[] blob = RandomBytes(1000);
        storage.AddBlob(blob);
        _registry.Redirect("/blobs/", storage.Address);
        GiveToken("""{"token":"t1","expires_in":300}""");

        (await ReadAllAsync(Harness("alice", "secret").Source($"{_registry.Host}/team/app:1").OpenBlobAsync(Layer(blob), CancellationToken.None))).ShouldBe(blob);

        storage.Requests.ShouldHaveSingleItem().Authorization.ShouldBeNull();
    }

    [Fact]
    public async Task Redirect_WhoseTargetAsksForALogin_GetsNone()
    {
        await using FakeRegistry storage = await FakeRegistry.StartAsync();
        storage.RequireBearer($"{_tokens.Address}token?trap=1", _ => false);
        _registry.Redirect("/blobs/", storage.Address);
        GiveToken("""{"token":"t1","expires_in":300}""");

        RegistryHarness harness = Harness("alice", "secret");
        await ResolveAsync(harness);

        Error error = await FailureOfAsync(() => harness.Source($"{_registry.Host}/team/app:1").OpenBlobAsync(Layer([1]), CancellationToken.None));

        error.Kind.ShouldBe(ErrorKind.Unauthenticated);
        storage.Requests.ShouldHaveSingleItem().Authorization.ShouldBeNull();
        _tokens.Requests.ShouldNotContain(r => r.Query.Contains("trap"));
    }

    [Fact]
    public async Task Redirect_WithinTheRegistry_KeepsTheLogin()
    {
        byte[] blob = RandomBytes(1000);
        string digest = _registry.AddBlob(blob);
        GiveToken("""{"token":"t1","expires_in":300}""");
        _registry.OnRequest(
            r => r.Path.Value!.Contains("/team/app/blobs/"),
            context =>
            {
                context.Response.StatusCode = 302;
                context.Response.Headers.Location = $"/v2/elsewhere/blobs/{digest}";
                return Task.FromResult(true);
            });

        (await ReadAllAsync(Harness().Source($"{_registry.Host}/team/app:1").OpenBlobAsync(Layer(blob), CancellationToken.None))).ShouldBe(blob);
    }

    [Fact]
    public async Task Redirect_InACircle_Ends()
    {
        await using FakeRegistry registry = await FakeRegistry.StartAsync();
        registry.Redirect("/manifests/", registry.Address);

        Error error = await FailureOfAsync(() => Harness().Source($"{registry.Host}/team/app:1").ResolveAsync(CancellationToken.None));

        error.Code.ShouldBe("Registry.RedirectRefused");
        registry.Requests.Count.ShouldBe(11);
    }

    [Fact]
    public async Task Insecure_AcceptsAnyCertificate_AndFallsBackToPlainHttp()
    {
        await using FakeRegistry tls = await FakeRegistry.StartAsync(tls: true);
        await using FakeRegistry plain = await FakeRegistry.StartAsync();
        tls.AddManifest("team/app", "1", Manifest, MediaTypes.OciManifest);
        plain.AddManifest("team/app", "1", Manifest, MediaTypes.OciManifest);

        await Harness().Source($"{tls.Host}/team/app:1", insecure: true).ResolveAsync(CancellationToken.None);
        await Harness().Source($"{plain.Host}/team/app:1", insecure: true).ResolveAsync(CancellationToken.None);

        tls.Requests.Count.ShouldBe(2);
        plain.Requests.Count.ShouldBe(2);
    }

    [Fact]
    public async Task Tls_WithAnUntrustedCertificate_IsRefusedAndNotRepeated()
    {
        await using FakeRegistry storage = await FakeRegistry.StartAsync(tls: true);
        await using FakeRegistry registry = await FakeRegistry.StartAsync();
        registry.Redirect("/blobs/", storage.Address);
        RegistryHarness harness = Harness();

        Error error = await FailureOfAsync(() => harness.Source($"{registry.Host}/team/app:1").OpenBlobAsync(Layer([1]), CancellationToken.None));

        error.Code.ShouldBe("Registry.TlsFailed");
        harness.Time.Waits.ShouldBeEmpty();
        storage.Requests.ShouldBeEmpty();
    }

    [Fact]
    public async Task Redirect_FromTlsToPlainHttp_IsRefusedUnlessInsecure()
    {
        await using FakeRegistry tls = await FakeRegistry.StartAsync(tls: true);
        await using FakeRegistry storage = await FakeRegistry.StartAsync();
        byte[] blob = RandomBytes(10);
        storage.AddBlob(blob);
        tls.Redirect("/blobs/", storage.Address);

        (await ReadAllAsync(Harness().Source($"{tls.Host}/team/app:1", insecure: true).OpenBlobAsync(Layer(blob), CancellationToken.None))).ShouldBe(blob);
        using HttpClient trusting = HttpClients.Create(new RegistryOptions(), checkCertificates: false);
        using RegistryClient strict = new(
            new RegistryEndpoint(tls.Host, [tls.Address], Insecure: false),
            trusting,
            new Infrastructure.Registry.Authentication.DockerCredentials(new RegistryOptions { DockerConfigDirectory = "/nonexistent" }),
            new RegistryOptions(),
            TimeProvider.System,
            Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);

        Error error = await FailureOfAsync(() => strict.SendAsync(new RegistryRequest(HttpMethod.Get, "v2/team/app/blobs/x", "", "blob x"), CancellationToken.None));

        error.Code.ShouldBe("Registry.RedirectRefused");
    }

    [Fact]
    public async Task Host_ThatDoesNotExist_IsReportedAtOnce()
    {
        RegistryHarness harness = Harness();

        Error error = await FailureOfAsync(() => harness.Source("registry.invalid/team/app:1").ResolveAsync(CancellationToken.None));

        error.Kind.ShouldBe(ErrorKind.Unavailable);
        error.Message.ShouldContain("registry.invalid");
    }

    private RegistryHarness Harness(string? user = null, string password = "") => Harness(_registry.Host, user, password);

    private RegistryHarness Harness(string host, string? user, string password)
    {
        Dictionary<string, RegistryCredential> credentials = new(StringComparer.Ordinal);
        if (user is not null)
        {
            credentials[host] = new RegistryCredential(user, password);
        }

        RegistryHarness harness = new(new RegistryOptions { Credentials = credentials });
        _harnesses.Add(harness);
        return harness;
    }

    private Task<ManifestBlob> ResolveAsync(RegistryHarness harness) => harness.Source($"{_registry.Host}/team/app:1").ResolveAsync(CancellationToken.None);

    private void GiveToken(string json) => GiveToken(() => json);

    private void GiveToken(Func<string> json) => _tokens.OnRequest(r => r.Path == "/token", async context =>
    {
        await context.Response.WriteAsync(json(), Encoding.UTF8);
        return true;
    });
}
