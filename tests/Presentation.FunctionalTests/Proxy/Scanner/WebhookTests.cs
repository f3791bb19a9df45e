using System.Text.Json.Nodes;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy.Scanner;

/// <summary>One registry and proxy for the tests of a class.</summary>
public sealed class WebhookFixture : IAsyncLifetime
{
    public ScannerRig Rig { get; private set; } = null!;

    public async Task InitializeAsync() => Rig = await ScannerRig.StartAsync();

    public async Task DisposeAsync() => await Rig.DisposeAsync();
}

/// <summary>What may come in at POST /scanner. Images that are named do not exist unless a test pushes them: that is found out later, by the job.</summary>
public sealed class WebhookTests(WebhookFixture fixture) : IClassFixture<WebhookFixture>
{
    private static readonly string Digest = "sha256:" + new string('a', 64);

    private ScannerRig Rig => fixture.Rig;

    [Theory]
    [InlineData("0123456789abcdef0123456789abcdef")]
    [InlineData("Bearer 0123456789abcdef0123456789abcdef")]
    [InlineData("bearer  0123456789abcdef0123456789abcdef")]
    [InlineData("Basic cmVnaXN0cnk6MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")]
    public async Task Post_WithTheSecretInAnyForm_IsAccepted(string authorization) => await Rig.AcceptAsync("""{"events": []}""", authorization: authorization);

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("Bearer 0123456789abcdef0123456789abcdee")]
    [InlineData("Bearer 0123456789abcdef0123456789abcdef0")]
    [InlineData("Digest 0123456789abcdef0123456789abcdef")]
    [InlineData("Basic !!!")]
    [InlineData("Basic 0123456789abcdef0123456789abcdef")]
    public async Task Post_WithoutTheSecret_IsRefused(string? authorization)
    {
        using HttpResponseMessage answer = await Rig.SendAsync("""{"events": []}""", authorization: authorization);

        (int status, string code, string _) = await RunningProxy.ProblemAsync(answer);
        (status, code).ShouldBe((401, "Scanner.SecretWrong"));
        answer.Headers.WwwAuthenticate.ShouldNotBeEmpty();
    }

    [Fact]
    public async Task Jobs_WithoutTheSecret_AreRefused() =>
        (await RunningProxy.ProblemAsync(await Rig.Proxy.Http.GetAsync(new Uri("/scanner/jobs", UriKind.Relative)))).Code.ShouldBe("Scanner.SecretWrong");

    [Theory]
    [InlineData("text/plain", "{}", 415, "Scanner.MediaTypeUnknown")]
    [InlineData(null, "{}", 415, "Scanner.MediaTypeUnknown")]
    [InlineData(ScannerRig.DistributionV1, "", 400, "Scanner.EventMalformed")]
    [InlineData(ScannerRig.DistributionV1, "{", 400, "Scanner.EventMalformed")]
    [InlineData(ScannerRig.DistributionV1, "[]", 400, "Scanner.EventMalformed")]
    [InlineData(ScannerRig.DistributionV1, "{}", 400, "Scanner.EventMalformed")]
    [InlineData(ScannerRig.DistributionV1, """{"events": 5}""", 400, "Scanner.EventMalformed")]
    [InlineData(ScannerRig.DistributionV1, """{"events": [{"target": "x"}]}""", 400, "Scanner.EventMalformed")]
    [InlineData("application/json", "{}", 400, "Scanner.EventMalformed")]
    [InlineData("application/json", "{\"type\": \"\ud800\"}", 202, null)]
    [InlineData("application/cloudevents+json", """{"type": 1}""", 400, "Scanner.EventMalformed")]
    public async Task Post_WhenItIsNoNotification_IsRefused(string? mediaType, string body, int expected, string? code)
    {
        using HttpResponseMessage answer = await Rig.SendAsync(new ByteArrayContent(System.Text.Encoding.UTF8.GetBytes(body)), mediaType, "Bearer " + ScannerRig.Secret);

        ((int)answer.StatusCode).ShouldBe(expected, await answer.Content.ReadAsStringAsync());
        if (code is not null)
        {
            (await RunningProxy.ProblemAsync(answer)).Code.ShouldBe(code);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Post_WhenItIsTooLarge_IsRefused(bool chunked)
    {
        byte[] body = new byte[(1 << 20) + 1];
        Array.Fill(body, (byte)' ');
        using HttpResponseMessage answer = await Rig.SendAsync(chunked ? new StreamContent(new UnseekableStream(body)) : new ByteArrayContent(body), ScannerRig.DistributionV1, "Bearer " + ScannerRig.Secret);

        (int status, string code, string _) = await RunningProxy.ProblemAsync(answer);
        (status, code).ShouldBe((413, "Scanner.EventTooLarge"));
    }

    [Fact]
    public async Task Post_WhenItIsLarge_IsAccepted() => await Rig.AcceptAsync("""{"events": []}""" + new string(' ', (1 << 20) - 64));

    [Fact]
    public async Task Post_WithSeveralEvents_TakesThoseThatPushTags()
    {
        JsonNode answer = await Rig.AcceptAsync(ScannerRig.Envelope(
            Rig.One("test/several", "a", Digest),
            Rig.One("test/several", "b", Digest),
            Rig.One("test/several", tag: null, Digest),
            Rig.One("test/several", "c", Digest, "pull"),
            Rig.One("test/several", "c", Digest, "mount"),
            Rig.One("test/several", "c", Digest, "delete"),
            Rig.One("test/several", "c", Digest, "levitate"),
            Rig.One("test/never", "c", Digest),
            Rig.One("unruly/app", "c", Digest),
            Rig.One("test/UPPER", "c", Digest),
            Rig.One("test/several", "c", "sha512:00"),
            new JsonObject(),
            null));

        ((int)answer["queued"]!).ShouldBe(2);
        answer["ignored"]!.AsArray().Count.ShouldBe(11);
    }

    [Fact]
    public async Task Post_WhenRepeated_QueuesNothingTwice()
    {
        string body = Rig.Event("test/repeated", "v1", Digest);

        ((int)(await Rig.AcceptAsync(body))["queued"]!).ShouldBe(1);
        JsonNode again = await Rig.AcceptAsync(body);

        ((int)again["queued"]! + (int)again["known"]!).ShouldBe(1);
        (await Rig.JobsAsync($"?ref=test/repeated:v1")).ShouldHaveSingleItem();
    }

    [Theory]
    [InlineData("169.254.169.254")]
    [InlineData("evil.example:5000")]
    [InlineData("localhost")]
    public async Task Post_WhenTheRegistryIsNotConfigured_ContactsNobody(string host)
    {
        JsonNode answer = await Rig.AcceptAsync(Rig.Event("test/ssrf", "v1", Digest, host: host));

        ((int)answer["queued"]!).ShouldBe(0);
        ((string)answer["ignored"]![0]!["reason"]!).ShouldContain("none of the scanner's registries");
        (await Rig.JobsAsync($"?ref={host}/test/ssrf:v1")).ShouldBeEmpty();
    }

    /// <summary>As a repository of the default registry it would pass.</summary>
    [Fact]
    public async Task Post_WhenTheRegistryLooksLikeAFolder_IsIgnored()
    {
        JsonNode answer = await Rig.AcceptAsync(Rig.Event("app", "v1", Digest, host: "test"));

        ((int)answer["queued"]!).ShouldBe(0);
        ((string)answer["ignored"]![0]!["reason"]!).ShouldContain("not an image reference");
    }

    [Fact]
    public async Task Post_WhenTheRegistryHasAnAlias_IsTakenAsTheDefaultRegistry()
    {
        ((int)(await Rig.AcceptAsync(Rig.Event("test/alias", "v1", Digest, host: "registry.internal:5000")))["queued"]!).ShouldBe(1);

        ((string)(await Rig.JobsAsync("?ref=test/alias:v1")).ShouldHaveSingleItem()["source"]!).ShouldBe($"{Rig.Registry.Host}/test/alias:v1");
    }

    /// <summary>The fields that Harbor documents, in both of its formats.</summary>
    [Theory]
    [InlineData("default")]
    [InlineData("cloudevents")]
    public async Task Post_FromHarbor_TakesTheTagsOfThePushedArtifact(string format)
    {
        string repository = $"test/harbor-{format}";
        string data = $$"""
            { "resources": [
                { "digest": "{{Digest}}", "tag": "v1", "resource_url": "{{Rig.Registry.Host}}/{{repository}}:v1" },
                { "digest": "{{Digest}}", "tag": "{{Digest}}", "resource_url": "{{Rig.Registry.Host}}/{{repository}}@{{Digest}}" } ],
              "repository": { "date_created": 1767323045, "name": "harbor-{{format}}", "namespace": "test", "repo_full_name": "{{repository}}", "repo_type": "private" } }
            """;
        JsonNode answer = format == "default"
            ? await Rig.AcceptAsync($$"""{ "type": "PUSH_ARTIFACT", "occur_at": 1767323045, "operator": "robot$ci", "event_data": {{data}} }""", "application/json", ScannerRig.Secret)
            : await Rig.AcceptAsync(
                $$"""{ "specversion": "1.0", "id": "b9c8", "requestid": "a1", "source": "/projects/7/webhook/policies/3", "type": "harbor.artifact.pushed", "datacontenttype": "application/json", "time": "2026-01-02T03:04:05Z", "operator": "robot$ci", "data": {{data}} }""",
                "application/cloudevents+json; charset=utf-8",
                ScannerRig.Secret);

        ((int)answer["queued"]!).ShouldBe(1);
        answer["ignored"]!.AsArray().Count.ShouldBe(1);
        ((string)(await Rig.JobsAsync($"?ref={repository}:v1")).ShouldHaveSingleItem()["destination"]!).ShouldEndWith($"{repository}:v1-starlight");
    }

    [Theory]
    [InlineData("""{ "type": "DELETE_ARTIFACT", "event_data": { "resources": [ { "tag": "v1" } ] } }""")]
    [InlineData("""{ "type": "SCANNING_COMPLETED" }""")]
    [InlineData("""{ "type": "PUSH_ARTIFACT" }""")]
    [InlineData("""{ "type": "PUSH_ARTIFACT", "event_data": { "resources": [ null, {}, { "tag": "v1" }, { "tag": "v1", "resource_url": "/" } ] } }""")]
    public async Task Post_FromHarborAboutSomethingElse_IsAcceptedAndIgnored(string body) =>
        ((int)(await Rig.AcceptAsync(body, "application/json"))["queued"]!).ShouldBe(0);

    [Fact]
    public async Task Job_WhenTheImageIsNotThere_SaysSoAndIsTriedAgain()
    {
        await Rig.AcceptAsync(Rig.Event("test/missing", "v1", Digest));

        await Probe.UntilAsync(async () => (await Rig.JobsAsync("?ref=test/missing:v1")).Single()["error"] is not null, "a failed attempt", TimeSpan.FromSeconds(60));
        JsonNode job = (await Rig.JobsAsync("?ref=test/missing:v1")).Single();
        ((string)job["state"]!).ShouldBe("queued");
        ((int)job["attempts"]!).ShouldBe(1);
        ((DateTimeOffset)job["nextAttemptAt"]!).ShouldBeGreaterThan((DateTimeOffset)job["startedAt"]!);
    }

    [Theory]
    [InlineData("?state=sleeping", "Scanner.StateUnknown")]
    [InlineData("?state=1", "Scanner.StateUnknown")]
    [InlineData("?limit=0", "Scanner.LimitOutOfRange")]
    [InlineData("?limit=many", "Scanner.LimitOutOfRange")]
    [InlineData("?limit=1001", "Scanner.LimitOutOfRange")]
    [InlineData("?ref=A%20B", "Reference.Malformed")]
    public async Task Jobs_WhenAskedForNonsense_SaySo(string query, string code)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, "/scanner/jobs" + query);
        request.Headers.TryAddWithoutValidation("Authorization", ScannerRig.Secret);

        (await RunningProxy.ProblemAsync(await Rig.Proxy.Http.SendAsync(request))).ShouldSatisfyAllConditions(p => p.Status.ShouldBe(400), p => p.Code.ShouldBe(code));
    }

    private sealed class UnseekableStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }
}
