using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>What an operator sees of a proxy.</summary>
public sealed class ObservabilityTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>
{
    [Fact]
    public async Task Metrics_AfterAnImageWasIndexedAndDelivered_TellOfIt()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        await pusher.ImageAsync("v1", [ProxyFixture.Layer(71)]);
        IReadOnlyDictionary<string, double> before = await MetricsAsync();

        await fixture.Proxy.NotifyAsync($"{name}:v1");
        byte[] bundle = await fixture.Proxy.DeltaAsync($"to={name}:v1");
        await fixture.Proxy.DeltaAsync($"to={name}:v1");

        // A request is counted when its answer is out, which may be a moment after the client has it.
        await Probe.UntilAsync(async () => await GrowthAsync("http_server_request_duration_seconds_count{method=\"GET\",status=\"200\",route=\"/starlight/delta\"}") >= 2, "both deltas are counted");
        (await GrowthAsync("starlight_bundle_requests_total{result=\"miss\"}")).ShouldBeGreaterThanOrEqualTo(1);
        (await GrowthAsync("starlight_bundle_requests_total{result=\"hit\"}") + await GrowthAsync("starlight_bundle_requests_total{result=\"joined\"}")).ShouldBeGreaterThanOrEqualTo(1);
        (await GrowthAsync("starlight_bundle_bytes_total{kind=\"raw\"}")).ShouldBeGreaterThan(3_000_000, "noise does not compress");
        await Probe.UntilAsync(async () => await GrowthAsync("starlight_bundle_build_duration_seconds_count") >= 1, "the build is over when its file is on the disk");
        (await GrowthAsync("starlight_index_duration_seconds_count{result=\"indexed\"}")).ShouldBeGreaterThanOrEqualTo(1);
        (await GrowthAsync("starlight_index_content_bytes_total")).ShouldBeGreaterThan(3_000_000);
        (await GrowthAsync("starlight_store_bytes")).ShouldBeGreaterThan(3_000_000);
        (await GrowthAsync("starlight_stream_sent_bytes_total")).ShouldBeGreaterThanOrEqualTo(2 * bundle.Length);
        (await MetricsAsync())["dotnet_process_memory_working_set_bytes"].ShouldBeGreaterThan(1 << 20);

        async Task<double> GrowthAsync(string series) => (await MetricsAsync()).GetValueOrDefault(series) - before.GetValueOrDefault(series);
    }

    [Fact]
    public async Task Metrics_AtAProxyWithAccounts_NeedTheirRole()
    {
        using ScratchDirectory directory = new();
        new AccountsFile
        {
            Accounts =
            [
                new AccountEntry { Name = "scraper", Roles = [Roles.Metrics], Token = AccessToken.DigestOf("scraper") },
                new AccountEntry { Name = "worker", Roles = [Roles.Pull], Token = AccessToken.DigestOf("worker") },
            ],
        }.Write(directory["accounts"]);
        await using RunningProxy proxy = await RunningProxy.StartAsync(new CommandLineSettings { Accounts = directory["accounts"] });

        (await StatusAsync(null)).ShouldBe(HttpStatusCode.Unauthorized);
        (await StatusAsync("worker")).ShouldBe(HttpStatusCode.Forbidden);
        (await StatusAsync("scraper")).ShouldBe(HttpStatusCode.OK);

        async Task<HttpStatusCode> StatusAsync(string? token)
        {
            using HttpRequestMessage request = new(HttpMethod.Get, "/metrics");
            request.Headers.Authorization = token is null ? null : new System.Net.Http.Headers.AuthenticationHeaderValue("Bearer", token);
            using HttpResponseMessage answer = await proxy.Http.SendAsync(request);
            return answer.StatusCode;
        }
    }

    [Theory]
    [InlineData("build-17/step.3", true)]
    [InlineData("two words", false)]
    [InlineData("a\"b", false)]
    public async Task RequestId_WhenGiven_IsRepeatedIfItIsHarmless(string id, bool accepted)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, "/starlight/delta");
        request.Headers.TryAddWithoutValidation("X-Request-Id", id);

        using HttpResponseMessage answer = await fixture.Proxy.Http.SendAsync(request);

        string given = answer.Headers.GetValues("X-Request-Id").ShouldHaveSingleItem();
        given.ShouldNotBeEmpty();
        (given == id).ShouldBe(accepted);
    }

    [Theory]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    public async Task Health_OfAProxyThatHasEverything_IsOk(string path) =>
        JsonNode.Parse(await fixture.Proxy.Http.GetStringAsync(path))!["status"]!.GetValue<string>().ShouldBe("OK");

    [Fact]
    public async Task Ready_WhenTheDatabaseGoesAway_IsDegradedAndLiveIsNot()
    {
        Requirements.Program("docker-registry");
        await using PostgresServer postgres = await PostgresServer.StartAsync();
        await using RunningProxy proxy = await RunningProxy.StartAsync(new CommandLineSettings { Database = postgres.CreateDatabase() });
        (await StatusAsync("/health/ready")).ShouldBe((HttpStatusCode.OK, "OK"));

        postgres.Stop();

        await Probe.UntilAsync(async () => await StatusAsync("/health/ready") == (HttpStatusCode.OK, "degraded"), "the proxy says that it is degraded");
        (await StatusAsync("/health/live")).ShouldBe((HttpStatusCode.OK, "OK"));
        postgres.Start();
        await Probe.UntilAsync(async () => await StatusAsync("/health/ready") == (HttpStatusCode.OK, "OK"), "the proxy has its database again");

        async Task<(HttpStatusCode Code, string Status)> StatusAsync(string path)
        {
            using HttpResponseMessage answer = await proxy.Http.GetAsync(path);
            return (answer.StatusCode, JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["status"]!.GetValue<string>());
        }
    }

    private async Task<IReadOnlyDictionary<string, double>> MetricsAsync()
    {
        using HttpResponseMessage answer = await fixture.Proxy.Http.GetAsync("/metrics");
        answer.Content.Headers.ContentType!.ToString().ShouldBe("text/plain; version=0.0.4; charset=utf-8");
        Dictionary<string, double> samples = [];
        foreach (string line in (await answer.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(l => !l.StartsWith('#')))
        {
            int space = line.LastIndexOf(' ');
            samples.Add(line[..space], double.Parse(line[(space + 1)..], CultureInfo.InvariantCulture));
        }

        return samples;
    }
}
