using System.Globalization;
using System.Text.Json.Nodes;
using Starlight.Domain.Content;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

public sealed class AdministrationTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>
{
    [Fact]
    public async Task Gc_AfterATagMovedAndATagWasDeleted_FreesTheirContentsAndBundlesAndNoOthers()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync();
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v", [ProxyFixture.Layer(1)]);
        await proxy.NotifyAsync($"{name}:v");
        await proxy.DeltaAsync($"to={name}:v");
        await pusher.ImageAsync("v", [ProxyFixture.Layer(2)]);
        await proxy.NotifyAsync($"{name}:v");
        await pusher.ImageAsync("gone", [ProxyFixture.Layer(3)]);
        await proxy.NotifyAsync($"{name}:gone");
        byte[] kept = await proxy.DeltaAsync($"to={name}:v");
        await DeleteAsync(proxy, $"{name}:gone");

        JsonNode early = await AnswerAsync(await proxy.Http.PostAsync("/starlight/admin/gc", null));

        // Times of use are whole seconds: what was used in this one goes in the next.
        JsonNode statistics = await AnswerAsync(await proxy.Http.GetAsync("/starlight/admin/stats"));
        await Probe.UntilAsync(
            async () =>
            {
                await AnswerAsync(await proxy.Http.PostAsync("/starlight/admin/gc?grace=0", null));
                statistics = await AnswerAsync(await proxy.Http.GetAsync("/starlight/admin/stats"));
                return (int)statistics["contents"]! <= 2;
            },
            "the contents of both images are collected");
        string[] bundles = [.. (await proxy.BundleFilesAsync()).Where(f => !f.EndsWith(".images", StringComparison.Ordinal))];

        ((int)early["contents"]!).ShouldBe(0, "everything was used within the grace period");
        ((int)early["catalog"]!["images"]!).ShouldBe(0);
        ((int)statistics["images"]!).ShouldBe(1);
        ((int)statistics["layers"]!).ShouldBe(1);
        ((int)statistics["contents"]!).ShouldBe(2);
        ((bool)statistics["degraded"]!).ShouldBeFalse();
        bundles.ShouldHaveSingleItem();
        (await proxy.DeltaAsync($"to={name}:v")).ShouldBe(kept);
        (await RunningProxy.ProblemAsync(await proxy.Http.GetAsync($"/starlight/delta?to={name}:gone&platform=linux/amd64"))).Code.ShouldBe("Image.NotIndexed");
    }

    [Fact]
    public async Task Delete_ByDigest_TakesTheTagsWithIt()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed image = await pusher.ImageAsync("v", [ProxyFixture.Layer(4)]);
        await fixture.Proxy.NotifyAsync($"{name}:v");

        JsonNode removed = await DeleteAsync(fixture.Proxy, image.Digest.ToString());
        HttpResponseMessage again = await fixture.Proxy.Http.DeleteAsync($"/starlight/admin/image?ref={image.Digest}");

        ((int)removed["images"]!).ShouldBe(1);
        ((int)removed["tags"]!).ShouldBe(1);
        (await RunningProxy.ProblemAsync(again)).Code.ShouldBe("Image.NotIndexed");
        (await fixture.Proxy.NotifyAsync($"{name}:v"))["images"]!.AsArray().Count.ShouldBe(1, "it can be notified again");
    }

    [Theory]
    [InlineData("GET", "image", 400, "Request.RefMissing")]
    [InlineData("GET", "image?ref=never/seen:v", 404, "Image.NotIndexed")]
    [InlineData("DELETE", "image?ref=never/seen:v", 404, "Image.NotIndexed")]
    [InlineData("DELETE", "image?ref=Bad/Name", 400, "Reference.Malformed")]
    [InlineData("POST", "gc?grace=soon", 400, "Request.GraceMalformed")]
    [InlineData("POST", "gc?grace=99999999999", 400, "Request.GraceMalformed")]
    [InlineData("POST", "gc?grace=NaN", 400, "Request.GraceMalformed")]
    [InlineData("POST", "gc?grace=-1", 400, "Request.GraceMalformed")]
    [InlineData("GET", "gc", 405, "Request.NoSuchEndpoint")]
    public async Task Administration_WhenRequestCannotBeServed_SaysWhy(string method, string path, int status, string code)
    {
        using HttpRequestMessage request = new(new HttpMethod(method), $"/starlight/admin/{path}");

        (int actualStatus, string actualCode, _) = await RunningProxy.ProblemAsync(await fixture.Proxy.Http.SendAsync(request));

        (actualStatus, actualCode).ShouldBe((status, code));
    }

    [Fact]
    public async Task Commands_TalkToARunningProxy()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed image = await pusher.ImageAsync("cmd", [ProxyFixture.Layer(5)]);
        await fixture.Proxy.NotifyAsync($"{name}:cmd");

        (await CommandAsync("list")).Succeeded().ShouldContain($"{name}:cmd");
        (await CommandAsync("show", $"{name}:cmd")).Succeeded().ShouldContain(image.Digest.ToString());
        JsonNode.Parse((await CommandAsync("stats", "--json")).Succeeded())!["images"]!.GetValue<int>().ShouldBeGreaterThan(0);
        (await CommandAsync("stats")).Succeeded().ShouldContain("contents");
        (await CommandAsync("delete", $"{name}:cmd")).Succeeded().ShouldContain("1 tags");
        (await CommandAsync("gc", "--grace", "1.5")).Succeeded().ShouldContain("bundles");
        ProcessOutcome missing = await CommandAsync("show", $"{name}:cmd");
        ProcessOutcome elsewhere = await CommandAsync("stats", "--url", "http://127.0.0.1:1");

        (missing.ExitCode, elsewhere.ExitCode).ShouldBe((1, 1));
        missing.ErrorOutput.ShouldStartWith("starlight-proxy: ");
        missing.ErrorOutput.ShouldContain("is not indexed");
        elsewhere.ErrorOutput.ShouldContain("cannot be asked");
    }

    [Theory]
    [InlineData("X-Forwarded-For")]
    [InlineData("Forwarded")]
    [InlineData("Via")]
    public async Task Administration_WhenAReverseProxyPassesItOn_IsNotLocal(string header)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, "/starlight/admin/stats");
        request.Headers.TryAddWithoutValidation(header, "for=192.0.2.9");

        (await RunningProxy.ProblemAsync(await fixture.Proxy.Http.SendAsync(request))).Code.ShouldBe("Admin.NotLocal");
    }

    /// <summary>In a network namespace with an address that is not loopback's.</summary>
    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("192.0.2.1", false)]
    public async Task Commands_WithoutAccounts_AreServedToThisMachineOnly(string address, bool served)
    {
        using ScratchDirectory data = new();
        await using ServerProgram proxy = await ServerProgram.StartAsync(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && ip address add 192.0.2.1/32 dev lo && exec \"$@\"", "sh", .. StarlightProgram.Proxy, "--port", "8090", "--data-dir", data.Path],
            line => line.Contains(" listens on http", StringComparison.Ordinal),
            TimeSpan.FromSeconds(60));

        ProcessOutcome outcome = await ProcessRunner.RunAsync(
            "nsenter", ["--net", "--target", proxy.Pid.ToString(CultureInfo.InvariantCulture), .. StarlightProgram.Proxy, "stats", "--url", $"http://{address}:8090"]);

        outcome.ExitCode.ShouldBe(served ? 0 : 1, outcome.ErrorOutput);
        if (!served)
        {
            outcome.ErrorOutput.ShouldContain("make an account with the role admin");
        }
    }

    [Theory]
    [InlineData("root:secret", 0, "contents")]
    [InlineData("slp_token-of-root", 0, "contents")]
    [InlineData("edge:secret", 1, "does not have the role 'admin'")]
    [InlineData("root:wrong", 1, "does not know this login: name an account with the role admin with --login")]
    [InlineData(null, 1, "wants a login")]
    public async Task Commands_WithAccounts_NeedTheRoleAdmin(string? login, int exitCode, string says)
    {
        using ScratchDirectory directory = new();
        new AccountsFile
        {
            Accounts =
            [
                new AccountEntry { Name = "root", Roles = [Roles.Admin], Password = PasswordHash.Create("secret", 10_000).ToString() },
                new AccountEntry { Name = "token", Roles = [Roles.Admin], Token = AccessToken.DigestOf("slp_token-of-root") },
                new AccountEntry { Name = "edge", Roles = [Roles.Pull], Password = PasswordHash.Create("secret", 10_000).ToString() },
            ],
        }.Write(directory["accounts"]);
        await using RunningProxy proxy = await RunningProxy.StartAsync(new CommandLineSettings { Accounts = directory["accounts"] });

        ProcessOutcome outcome = await CommandAsync(["stats", "--url", proxy.Address.ToString(), .. login is null ? Array.Empty<string>() : ["--login", login]]);

        outcome.ExitCode.ShouldBe(exitCode);
        (outcome.Output + outcome.ErrorOutput).ShouldContain(says);
    }

    /// <summary>The registry holds another layer back, so the notify is at work for as long as this test wants.</summary>
    [Fact]
    public async Task Gc_OfALargeLayerThatARunningNotifyHasLookedUp_HasItReadAgain()
    {
        TarBuilder many = new();
        for (int i = 0; i < 60_000; i++)
        {
            many.File($"{i:D6}{new string('n', 80)}", [(byte)i]);
        }

        byte[] large = many.Build();
        byte[] held = ProxyFixture.Layer(77);
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await using TcpRelay relay = new() { TargetPort = fixture.Registry.Port };
        string repository = $"127.0.0.1:{relay.Port}{name[name.IndexOf('/', StringComparison.Ordinal)..]}";
        await using RunningProxy proxy = await RunningProxy.StartAsync();
        await pusher.ImageAsync("old", [large]);
        await proxy.NotifyAsync($"{repository}:old");
        await DeleteAsync(proxy, $"{repository}:old");
        await pusher.ImageAsync("new", [large, held]);
        string heldBlob = ImagePusher.BlobOf(held).ToString();
        string largeBlob = ImagePusher.BlobOf(large).ToString();
        int Reads(string blob) => relay.Requests.Count(r => r.StartsWith("GET ", StringComparison.Ordinal) && r.Contains(blob, StringComparison.Ordinal));
        int before = Reads(largeBlob);

        relay.Rule = new RelayRule { HoldAfter = 0, Only = heldBlob };
        Task<JsonNode> notify = proxy.NotifyAsync($"{repository}:new");
        await Probe.UntilAsync(() => Reads(heldBlob) > 0, "the other layer is asked for");
        await AnswerAsync(await proxy.Http.PostAsync("/starlight/admin/gc?grace=0", null));
        relay.Rule = RelayRule.None;

        await notify;
        Reads(largeBlob).ShouldBeGreaterThan(before, "it was collected, so it is read once more");
        BundleContents bundle = await BundleContents.ReadAsync(await proxy.DeltaAsync($"to={repository}:new"));
        bundle.Contents.Count.ShouldBe(256 + 2);
    }

    [Theory]
    [InlineData("registry", "is not a Starlight proxy")]
    [InlineData("path", "is not the URL of a proxy")]
    [InlineData("https", "cannot be asked: ")]
    [InlineData("nobody", "cannot be asked: Connection refused")]
    public async Task Commands_WhereThereIsNoProxy_SayWhatIsThere(string what, string says)
    {
        string url = what switch
        {
            "registry" => $"http://{fixture.Registry.Host}",
            "path" => new Uri(fixture.Proxy.Address, "/somewhere").ToString(),
            "https" => $"https://127.0.0.1:{fixture.Proxy.Address.Port}",
            _ => "http://127.0.0.1:1",
        };
        foreach (string command in (string[])["list", "stats"])
        {
            ProcessOutcome refused = await CommandAsync(command, "--url", url);
            refused.ExitCode.ShouldBe(1);
            refused.ErrorOutput.ShouldContain(says);
            refused.ErrorOutput.Trim().ShouldNotContain('\n');
            refused.ErrorOutput.ShouldNotContain("inner exception");
        }
    }

    private async Task<ProcessOutcome> CommandAsync(params string[] arguments)
    {
        IEnumerable<string> url = arguments.Contains("--url") ? [] : ["--url", fixture.Proxy.Address.ToString()];
        return await ProcessRunner.RunAsync(StarlightProgram.Proxy[0], [.. StarlightProgram.Proxy.Skip(1), .. arguments, .. url]);
    }

    private static async Task<JsonNode> DeleteAsync(RunningProxy proxy, string reference) => await AnswerAsync(await proxy.Http.DeleteAsync($"/starlight/admin/image?ref={reference}"));

    private static async Task<JsonNode> AnswerAsync(HttpResponseMessage answer)
    {
        string body = await answer.Content.ReadAsStringAsync();
        answer.IsSuccessStatusCode.ShouldBeTrue(body);
        return JsonNode.Parse(body)!;
    }
}
