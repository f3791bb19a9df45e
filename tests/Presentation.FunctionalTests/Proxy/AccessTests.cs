using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>Who may do what at a proxy with accounts.</summary>
public sealed class AccessTests : IAsyncLifetime
{
    /// <summary>Cheap hashes: the cost of real ones is not what these tests are about.</summary>
    private const int Iterations = 10_000;

    private const string Token = "slp_of-the-build-machine";

    private readonly ScratchDirectory _directory = new();
    private RegistryServer _registry = null!;
    private RunningProxy _proxy = null!;

    private string AccountsPath => _directory["accounts.json"];

    public async Task InitializeAsync()
    {
        Requirements.Program("docker-registry");
        _registry = await RegistryServer.StartAsync();
        WriteAccounts(
            Entry("edge", "secret", [Roles.Pull]),
            Entry("team", "secret", [Roles.Pull, Roles.Notify]) with { Images = [$"{_registry.Host}/team/*"] },
            Entry("worker", "secret", [Roles.Pull, Roles.Report]) with { Images = [$"{_registry.Host}/team/*"] },
            Entry("root", "secret", [Roles.Admin]),
            new AccountEntry { Name = "build", Roles = [Roles.Notify], Token = AccessToken.DigestOf(Token) });
        _proxy = await RunningProxy.StartAsync(new CommandLineSettings { Accounts = AccountsPath });
    }

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _registry.DisposeAsync();
        _directory.Dispose();
    }

    [Theory]
    [InlineData(null, 401, "Access.CredentialsMissing")]
    [InlineData("Basic edge:wrong", 401, "Access.CredentialsWrong")]
    [InlineData("Basic nobody:secret", 401, "Access.CredentialsWrong")]
    [InlineData("Basic build:secret", 401, "Access.CredentialsWrong")]
    [InlineData("Bearer nonsense", 401, "Access.CredentialsWrong")]
    [InlineData("Digest nonsense", 401, "Access.CredentialsWrong")]
    [InlineData("Bearer " + Token, 403, "Access.RoleMissing")]
    [InlineData("Basic edge:secret", 404, "Image.NotIndexed")]
    [InlineData("Basic root:secret", 404, "Image.NotIndexed")]
    [InlineData("Basic team:secret", 403, "Access.ImageDenied")]
    public async Task Delta_ForEachKindOfLogin_IsAllowedOrRefused(string? login, int status, string code)
    {
        using HttpResponseMessage answer = await SendAsync(HttpMethod.Get, $"/starlight/delta?platform=linux/amd64&to={_registry.Host}/other/app:1", login);

        (int Status, string Code, string Detail) problem = await RunningProxy.ProblemAsync(answer);
        (problem.Status, problem.Code).ShouldBe((status, code));
        problem.Detail.ShouldNotContain("secret");
        answer.Headers.WwwAuthenticate.Select(w => w.Scheme).ShouldBe(status == 401 ? ["Basic", "Bearer"] : []);
    }

    [Theory]
    [InlineData("Basic edge:secret", 403)]
    [InlineData("Basic team:secret", 403)]
    [InlineData("Bearer " + Token, 404)]
    [InlineData("Basic root:secret", 404)]
    public async Task Notify_ForEachKindOfLogin_IsAllowedOrRefused(string login, int status)
    {
        using HttpResponseMessage answer = await SendAsync(HttpMethod.Post, $"/starlight/notify?ref={_registry.Host}/other/missing:1", login);

        (await RunningProxy.ProblemAsync(answer)).Status.ShouldBe(status);
    }

    [Theory]
    [InlineData("/no/such/endpoint", null, 401)]
    [InlineData("/no/such/endpoint", "Basic edge:secret", 403)]
    [InlineData("/no/such/endpoint", "Basic root:secret", 404)]
    [InlineData("/health-check", null, 200)]
    [InlineData("/health-check", "Basic edge:secret", 200)]
    [InlineData("/health-check", "Basic edge:wrong", 401)]
    public async Task Endpoint_WithoutARoleOfItsOwn_IsForAdministratorsOrEverybody(string path, string? login, int status)
    {
        using HttpResponseMessage answer = await SendAsync(HttpMethod.Get, path, login);

        ((int)answer.StatusCode).ShouldBe(status);
    }

    [Fact]
    public async Task Delta_OfADigestOfAnotherRepository_DoesNotTellThatItExists()
    {
        ImagePusher secret = new(_registry.Host, "secret/app");
        await secret.ImageAsync("1", [ProxyFixture.Layer(1)]);
        ImagePusher own = new(_registry.Host, "team/app");
        await own.ImageAsync("1", [ProxyFixture.Layer(2)]);
        string hidden = await NotifyAsync("secret/app:1");
        string visible = await NotifyAsync("team/app:1");

        // "to": the digest of what it may not read, under a name that it may
        using HttpResponseMessage stolen = await SendAsync(HttpMethod.Get, $"/starlight/delta?platform=linux/amd64&to={_registry.Host}/team/app@{hidden}", "Basic team:secret");
        (await RunningProxy.ProblemAsync(stolen)).Code.ShouldBe("Image.NotIndexed");

        // "from": what would be left out tells what is in it
        string delta = $"/starlight/delta?platform=linux/amd64&to={_registry.Host}/team/app:1&from=";
        using HttpResponseMessage probe = await SendAsync(HttpMethod.Get, $"{delta}{_registry.Host}/team/app@{hidden}", "Basic team:secret");
        (await RunningProxy.ProblemAsync(probe)).Code.ShouldBe("Bundle.BaseUnknown");

        using HttpResponseMessage own1 = await SendAsync(HttpMethod.Get, $"{delta}{_registry.Host}/team/app@{visible}", "Basic team:secret");
        own1.StatusCode.ShouldBe(HttpStatusCode.OK);
        using HttpResponseMessage all = await SendAsync(HttpMethod.Get, $"{delta}{_registry.Host}/secret/app@{hidden}", "Basic edge:secret");
        all.StatusCode.ShouldBe(HttpStatusCode.OK);

        // the tag moves on, and what was pulled by it stays a base
        await own.ImageAsync("1", [ProxyFixture.Layer(3)]);
        await NotifyAsync("team/app:1");
        using HttpResponseMessage update = await SendAsync(HttpMethod.Get, $"{delta}{_registry.Host}/team/app@{visible}", "Basic team:secret");
        update.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData(null, 401)]
    [InlineData("Basic edge:secret", 403)]
    [InlineData("Bearer " + Token, 403)]
    [InlineData("Basic worker:secret", 200)]
    [InlineData("Basic root:secret", 200)]
    public async Task Report_ForEachKindOfLogin_IsAllowedOrRefused(string? login, int status)
    {
        using HttpResponseMessage answer = await ReportAsync(login, "[]");

        ((int)answer.StatusCode).ShouldBe(status);
    }

    [Fact]
    public async Task Report_OfAnImageOfAnotherRepository_DoesNotTellThatItExists()
    {
        using ImagePusher secret = new(_registry.Host, "secret/app");
        await secret.ImageAsync("1", [ProxyFixture.Layer(4)]);
        string hidden = await NotifyAsync("secret/app:1");
        string trace = $$"""[{"id":"{{Guid.NewGuid()}}","image":"{{hidden}}","source":"optimizer","contents":["{{ProxyFixture.Hex(ProxyFixture.Noise(4, 40_000))}}"],"at":[0],"waited":[0]}]""";

        using HttpResponseMessage own = await ReportAsync("Basic worker:secret", trace);
        using HttpResponseMessage any = await ReportAsync("Basic root:secret", trace);
        using HttpResponseMessage order = await SendAsync(HttpMethod.Get, $"/starlight/order?ref={_registry.Host}/team/app@{hidden}", "Basic worker:secret");

        (await own.Content.ReadAsStringAsync()).ShouldContain("Trace.ImageUnknown");
        (await any.Content.ReadAsStringAsync()).ShouldContain("\"stored\"");
        (await RunningProxy.ProblemAsync(order)).Code.ShouldBe("Image.NotIndexed");
    }

    [Fact]
    public async Task Notify_OfWhatOnlyAnotherRepositoryHas_IsRefused()
    {
        ImagePusher secret = new(_registry.Host, "secret/app");
        await secret.ImageAsync("1", [ProxyFixture.Layer(1)]);
        string hidden = await NotifyAsync("secret/app:1");
        ImagePusher own = new(_registry.Host, "team/app");

        // an index that lists a manifest of another repository
        Pushed image = await own.ImageAsync(null, [ProxyFixture.Layer(1)]);
        image.Digest.ToString().ShouldBe(hidden);
        await own.IndexAsync("index", image.ToDescriptor("linux/amd64"));
        await own.DeleteAsync($"manifests/{hidden}");
        await ShouldNotBeNotifiedAsync("index");

        // a manifest that names a layer of another repository, alone and under one of its own
        await own.ImageAsync("known", [ProxyFixture.Layer(1)]);
        await own.ImageAsync("new", [ProxyFixture.Layer(1), ProxyFixture.Layer(2)]);
        await own.DeleteAsync($"blobs/{ImagePusher.BlobOf(ProxyFixture.Layer(1))}");
        await ShouldNotBeNotifiedAsync("known");
        await ShouldNotBeNotifiedAsync("new");
        using HttpResponseMessage byDigest = await SendAsync(HttpMethod.Get, $"/starlight/delta?platform=linux/amd64&to={_registry.Host}/team/app@{hidden}", "Basic team:secret");
        (await RunningProxy.ProblemAsync(byDigest)).Code.ShouldBe("Image.NotIndexed");

        // it has it after all
        await own.ImageAsync("known", [ProxyFixture.Layer(1)]);
        await NotifyAsync("team/app:known");

        async Task ShouldNotBeNotifiedAsync(string tag)
        {
            using HttpResponseMessage notified = await SendAsync(HttpMethod.Post, $"/starlight/notify?ref={_registry.Host}/team/app:{tag}", "Basic team:secret");
            (await RunningProxy.ProblemAsync(notified)).Status.ShouldBe(404);
            using HttpResponseMessage stolen = await SendAsync(HttpMethod.Get, $"/starlight/delta?platform=linux/amd64&to={_registry.Host}/team/app:{tag}", "Basic team:secret");
            (await RunningProxy.ProblemAsync(stolen)).Code.ShouldBe("Image.NotIndexed");
        }
    }

    [Fact]
    public async Task Notify_OfLayersThatAnotherRegistryBrought_ReadsThemBeforeItIsBelieved()
    {
        await using RegistryServer other = await RegistryServer.StartAsync();
        ImagePusher secret = new(_registry.Host, "secret/app");
        await secret.ImageAsync("1", [ProxyFixture.Layer(1)]);
        await NotifyAsync("secret/app:1");
        ImagePusher elsewhere = new(other.Host, "team/app");
        Pushed image = await elsewhere.ImageAsync("1", [ProxyFixture.Layer(1)]);
        string blob = ImagePusher.BlobOf(ProxyFixture.Layer(1)).Hex;
        string data = Path.Combine(other.StorageDirectory, "docker/registry/v2/blobs/sha256", blob[..2], blob, "data");

        // a registry of one's own says that it has whatever one likes
        byte[] bytes = await File.ReadAllBytesAsync(data);
        bytes[^100] ^= 1;
        await File.WriteAllBytesAsync(data, bytes);
        using HttpResponseMessage pretended = await SendAsync(HttpMethod.Post, $"/starlight/notify?ref={other.Host}/team/app:1", "Bearer " + Token);
        (await RunningProxy.ProblemAsync(pretended)).Code.ShouldBe("Registry.BlobMismatch");

        bytes[^100] ^= 1;
        await File.WriteAllBytesAsync(data, bytes);
        using HttpResponseMessage true1 = await SendAsync(HttpMethod.Post, $"/starlight/notify?ref={other.Host}/team/app:1", "Bearer " + Token);
        true1.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Accounts_WhenTheFileChanges_ChangeWithoutARestart()
    {
        (await StatusAsync("Basic edge:secret")).ShouldBe(404);
        WriteAccounts(Entry("edge", "new", [Roles.Pull]), Entry("other", "secret", [Roles.Pull]));

        await Probe.UntilAsync(async () => await StatusAsync("Basic edge:secret") == 401, "the old password is refused");

        (await StatusAsync("Basic edge:new")).ShouldBe(404);
        (await StatusAsync("Basic other:secret")).ShouldBe(404);
        WriteAccounts(new AccountEntry { Name = "third", Roles = [Roles.Pull], Token = AccessToken.DigestOf("slp_new") });
        await Probe.UntilAsync(async () => await StatusAsync("Bearer slp_new") == 404, "the new token is known");
        (await StatusAsync("Basic edge:new")).ShouldBe(401);
    }

    [Fact]
    public void AccountsFile_WhenWrittenByRoot_StaysItsOwners()
    {
        Tool.Run("chown", ["65534:65533", AccountsPath]);
        Tool.Run("chmod", ["0640", AccountsPath]);

        WriteAccounts(Entry("edge", "new", [Roles.Pull]));

        Tool.Run("stat", ["--format", "%u:%g %a", AccountsPath]).Trim().ShouldBe("65534:65533 640");
    }

    [Theory]
    [InlineData("""{ "accounts": [ { "name": "x", "roles": ["king"], "token": "" } ] }""")]
    [InlineData("""{ "accounts": null }""")]
    [InlineData("""{ "accounts": [ null ] }""")]
    [InlineData("""{ "accounts": [ { "name": null, "roles": ["pull"] } ] }""")]
    [InlineData("""{ "accounts": [ { "name": "x", "roles": null } ] }""")]
    [InlineData("""{ "accounts": [ { "name": "x", "roles": [ null ] } ] }""")]
    [InlineData("""{ "accounts": [ { "name": "x", "roles": [], "images": [ null ] } ] }""")]
    [InlineData("")]
    public void Accounts_WhenTheNewVersionIsBad_StayAsTheyWere(string bad)
    {
        InstantTime time = new();
        AccountRegister register = new(AccountsPath, "docker.io", time, NullLogger<AccountRegister>.Instance);
        register.FindByToken(Token).ShouldNotBeNull();

        File.WriteAllText(AccountsPath, bad);
        time.Advance(TimeSpan.FromMinutes(1));
        register.FindByToken(Token).ShouldNotBeNull();
        File.Delete(AccountsPath);
        time.Advance(TimeSpan.FromMinutes(1));
        register.FindByToken(Token).ShouldNotBeNull();
    }

    [Fact]
    public async Task Accounts_WhenOthersChange_KeepWhatWasProvenAlsoAtAnAddressThatGuesses()
    {
        InstantTime time = new();
        AccountRegister register = new(AccountsPath, "docker.io", time, NullLogger<AccountRegister>.Instance);
        (await LogInAsync("secret")).Account.ShouldNotBeNull();
        for (int i = 0; i < 30; i++)
        {
            (await LogInAsync("wrong")).Account.ShouldBeNull();
        }

        AccountsFile file = AccountsFile.Read(AccountsPath);
        (file with { Accounts = [.. file.Accounts, Entry("another", "secret", [Roles.Pull])] }).Write(AccountsPath);
        time.Advance(TimeSpan.FromSeconds(3));

        (await LogInAsync("secret")).Account.ShouldNotBeNull("its password is the same");
        (await register.CheckPasswordAsync("another", "secret", "client", CancellationToken.None)).RetryAfter.ShouldNotBeNull();

        WriteAccounts(Entry("edge", "new", [Roles.Pull]));
        time.Advance(TimeSpan.FromSeconds(3));
        (await LogInAsync("secret")).Account.ShouldBeNull("its password is another one");

        async Task<LoginOutcome> LogInAsync(string password) => await register.CheckPasswordAsync("edge", password, "client", CancellationToken.None);
    }

    [Fact]
    public async Task Login_WithManyGuessesAtOnce_TriesFewOfThem()
    {
        AccountRegister register = new(AccountsPath, "docker.io", new InstantTime(), NullLogger<AccountRegister>.Instance);

        LoginOutcome[] outcomes = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => register.CheckPasswordAsync("edge", $"guess{i}", "client", CancellationToken.None).AsTask()));

        outcomes.Count(o => o.RetryAfter is null).ShouldBeLessThan(20 + Environment.ProcessorCount);
    }

    [Fact]
    public async Task Notify_Insecurely_TakesTheRoleAdmin()
    {
        string path = $"/starlight/notify?ref={_registry.Host}/team/app:missing&insecure=";
        using HttpResponseMessage denied = await SendAsync(HttpMethod.Post, path + "true", "Basic team:secret");
        using HttpResponseMessage secure = await SendAsync(HttpMethod.Post, path + "false", "Basic team:secret");
        using HttpResponseMessage admin = await SendAsync(HttpMethod.Post, path + "true", "Basic root:secret");

        (await RunningProxy.ProblemAsync(denied)).Code.ShouldBe("Access.InsecureDenied");
        (await RunningProxy.ProblemAsync(secure)).Status.ShouldBe(404);
        (await RunningProxy.ProblemAsync(admin)).Status.ShouldBe(404);
    }

    [Fact]
    public async Task Login_AfterManyWrongPasswords_IsNotTriedForAWhile()
    {
        (await StatusAsync("Basic edge:secret")).ShouldBe(404);
        HttpResponseMessage? refused = null;
        for (int i = 0; i < 50 && refused is null; i++)
        {
            HttpResponseMessage answer = await SendAsync(HttpMethod.Get, "/starlight/delta", "Basic edge:guess" + i);
            refused = answer.StatusCode == HttpStatusCode.TooManyRequests ? answer : null;
        }

        (await RunningProxy.ProblemAsync(refused.ShouldNotBeNull())).Code.ShouldBe("Access.TooManyFailures");
        refused!.Headers.RetryAfter!.Delta!.Value.ShouldBeGreaterThan(TimeSpan.Zero);

        // who was right before, and tokens, are not affected
        (await StatusAsync("Basic edge:secret")).ShouldBe(404);
        (await StatusAsync("Bearer " + Token)).ShouldBe(403);
        (await StatusAsync("Basic root:secret")).ShouldBe(429);
    }

    private static AccountEntry Entry(string name, string password, string[] roles) => new() { Name = name, Roles = roles, Password = PasswordHash.Create(password, Iterations).ToString() };

    private void WriteAccounts(params AccountEntry[] accounts) => new AccountsFile { Accounts = accounts }.Write(AccountsPath);

    private async Task<int> StatusAsync(string login)
    {
        using HttpResponseMessage answer = await SendAsync(HttpMethod.Get, $"/starlight/delta?platform=linux/amd64&to={_registry.Host}/other/app:1", login);
        return (int)answer.StatusCode;
    }

    /// <returns>The image's manifest digest.</returns>
    private async Task<string> NotifyAsync(string image)
    {
        using HttpResponseMessage answer = await SendAsync(HttpMethod.Post, $"/starlight/notify?ref={_registry.Host}/{image}", "Bearer " + Token);
        string body = await answer.Content.ReadAsStringAsync();
        answer.StatusCode.ShouldBe(HttpStatusCode.OK, body);
        return System.Text.Json.Nodes.JsonNode.Parse(body)!["images"]![0]!["digest"]!.GetValue<string>();
    }

    private async Task<HttpResponseMessage> ReportAsync(string? login, string traces)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, "/starlight/report") { Content = new StringContent($"{{\"worker\":\"w\",\"traces\":{traces}}}", Encoding.UTF8, "application/json") };
        LogIn(request, login);
        return await _proxy.Http.SendAsync(request);
    }

    private Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? login)
    {
        HttpRequestMessage request = new(method, path);
        LogIn(request, login);
        return _proxy.Http.SendAsync(request);
    }

    private static void LogIn(HttpRequestMessage request, string? login)
    {
        if (login?.Split(' ') is [{ } scheme, { } credentials])
        {
            request.Headers.Authorization = new AuthenticationHeaderValue(scheme, scheme == "Basic" ? Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials)) : credentials);
        }
    }
}
