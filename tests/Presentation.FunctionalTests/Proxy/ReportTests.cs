using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Starlight.Application.Report;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Presentation.Proxy;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>Traces come in, orders go out.</summary>
public sealed class ReportTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>
{
    private static readonly byte[] X = ProxyFixture.Noise(71, 5000);
    private static readonly byte[] Y = ProxyFixture.Noise(72, 6000);

    [Fact]
    public async Task Report_OfATrace_ChangesTheOrderAndTheIdentityOfTheBundle()
    {
        (string name, Digest image) = await NotifyAsync(11);
        string before = await IdentityAsync(name);
        (await OrderAsync(name))["basis"]!.ToString().ShouldBe("predicted");

        Outcome(await ReportAsync(Trace(image, [Y, X]))).ShouldBe("stored");

        JsonNode order = await OrderAsync(name);
        order["basis"]!.ToString().ShouldBe("traces");
        ((int)order["traces"]!).ShouldBe(1);
        ((int)order["hot"]!).ShouldBe(2);
        order["contents"]!.AsArray().Select(c => c!["paths"]![0]!.ToString()).ShouldBe(["/zy", "/zx"]);
        order["contents"]!.AsArray().Select(c => (double)c!["rank"]!).ShouldBe([0, 1]);
        (await IdentityAsync(name)).ShouldNotBe(before);
    }

    [Fact]
    public async Task Report_OfOneTraceTwice_CountsItOnce()
    {
        (string name, Digest image) = await NotifyAsync(12);
        JsonObject trace = Trace(image, [X]);
        (await ReportAsync(trace.DeepClone())).ShouldNotBeNull();
        string identity = await IdentityAsync(name);

        Outcome(await ReportAsync(trace.DeepClone())).ShouldBe("known");

        (await IdentityAsync(name)).ShouldBe(identity);
        ((int)(await OrderAsync(name))["traces"]!).ShouldBe(1);
    }

    [Fact]
    public async Task Notify_OfAnImageThatHasTraces_KeepsWhatTheyTaught()
    {
        (string name, Digest image) = await NotifyAsync(13);
        await ReportAsync(Trace(image, [Y]));
        string identity = await IdentityAsync(name);

        await fixture.Proxy.NotifyAsync(name);
        (ImagePusher pusher, string other) = fixture.NewRepository();
        await pusher.ImageAsync("v", [Layer(13)]);
        await fixture.Proxy.NotifyAsync($"{other}:v");

        (await IdentityAsync(name)).ShouldBe(identity);
    }

    [Fact]
    public async Task Notify_OfANewVersion_InheritsTheOrderByPath()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed first = await pusher.ImageAsync("1", [Layer(14)]);
        await fixture.Proxy.NotifyAsync($"{name}:1");
        await ReportAsync(Trace(first.Digest, [Y, X]));

        // zy changed, zx did not
        await pusher.ImageAsync("2", [new TarBuilder().Directory("bin").File("bin/app", ProxyFixture.Noise(15, 40_000), 0x1ed).File("zx", X).File("zy", ProxyFixture.Noise(73, 6100)).Build()]);
        await fixture.Proxy.NotifyAsync($"{name}:2");

        JsonNode order = await OrderAsync($"{name}:2");
        order["basis"]!.ToString().ShouldBe("inherited");
        order["inheritedFrom"]!.ToString().ShouldBe(first.Digest.ToString());
        order["contents"]!.AsArray().Select(c => c!["paths"]![0]!.ToString()).ShouldBe(["/zy", "/zx"]);
    }

    [Fact]
    public async Task Report_WhenANewerVersionHasNoTraces_TeachesThatToo()
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed first = await pusher.ImageAsync("1", [Layer(16)]);
        await pusher.ImageAsync("2", [Layer(17)]);
        await fixture.Proxy.NotifyAsync($"{name}:1");
        await fixture.Proxy.NotifyAsync($"{name}:2");

        await ReportAsync(Trace(first.Digest, [X]));

        (await OrderAsync($"{name}:2"))["inheritedFrom"]!.ToString().ShouldBe(first.Digest.ToString());
    }

    [Fact]
    public async Task Report_WhenOneTraceIsBad_StoresTheOthersAndSaysWhyNot()
    {
        (_, Digest image) = await NotifyAsync(18);
        JsonObject good = Trace(image, [X]);
        (JsonObject Trace, string Code)[] bad =
        [
            (Trace(Digest.Of("never seen"u8), [X]), "Trace.ImageUnknown"),
            (Trace(image, ["not in it"u8.ToArray()]), "Trace.ContentUnknown"),
            (Trace(image, [X, X]), "Trace.Impossible"),
            (Trace(image, []), "Trace.Empty"),
            (With(Trace(image, [X]), "at", new JsonArray(-1)), "Trace.Malformed"),
            (With(Trace(image, [X]), "at", new JsonArray(long.MaxValue)), "Trace.Malformed"),
            (With(Trace(image, [X]), "at", new JsonArray((long)TimeSpan.FromDays(31).TotalMicroseconds)), "Trace.Impossible"),
            (With(Trace(image, [X]), "waited", new JsonArray()), "Trace.Malformed"),
            (With(Trace(image, [X]), "image", "redis"), "Trace.Malformed"),
            (With(Trace(image, [X]), "id", "7"), "Trace.Malformed"),
            (With(Trace(image, [X]), "source", "hearsay"), "Trace.Malformed"),
            (With(Trace(image, [X]), "group", "a/b"), "Trace.Malformed"),
            (With(With(Trace(image, [X]), "group", "a/b"), "groupRun", Guid.NewGuid().ToString()), "Trace.GroupMalformed"),
        ];

        JsonArray outcomes = await ReportAsync([.. bad.Select(b => b.Trace), good]);

        outcomes.Take(bad.Length).Select(o => o!["refusal"]!["code"]!.ToString()).ShouldBe(bad.Select(b => b.Code));
        outcomes.Take(bad.Length).ShouldAllBe(o => o!["outcome"]!.ToString() == "refused" && o["refusal"]!["detail"]!.ToString().Length > 0);
        outcomes[^1]!["outcome"]!.ToString().ShouldBe("stored");
    }

    [Fact]
    public async Task Report_OfAnImageThatWasDeleted_IsRefusedAndNothingElseIsLost()
    {
        (_, Digest deleted) = await NotifyAsync(19);
        (string name, Digest image) = await NotifyAsync(20);
        await ReportAsync(Trace(deleted, [X]));
        (await fixture.Proxy.Http.DeleteAsync($"/starlight/admin/image?ref={deleted}")).EnsureSuccessStatusCode();

        JsonArray outcomes = await ReportAsync([Trace(deleted, [X]), Trace(image, [Y])]);

        outcomes[0]!["refusal"]!["code"]!.ToString().ShouldBe("Trace.ImageUnknown");
        outcomes[1]!["outcome"]!.ToString().ShouldBe("stored");
        ((int)(await OrderAsync(name))["traces"]!).ShouldBe(1);
    }

    [Fact]
    public async Task Report_WithAStartInTheFuture_CountsAsOfNow()
    {
        (string name, Digest image) = await NotifyAsync(21);

        Outcome(await ReportAsync(With(Trace(image, [X]), "startedAt", "2199-01-01T00:00:00Z"))).ShouldBe("stored");

        // later traces of the same worker are newer all the same: the first is pushed out by as many as count
        for (int i = 0; i < TraceMerge.MaxTracesOfWorker; i++)
        {
            await ReportAsync(Trace(image, [Y]));
        }

        JsonNode order = await OrderAsync(name);
        ((int)order["traces"]!).ShouldBe(TraceMerge.MaxTracesOfWorker);
        order["contents"]!.AsArray().Select(c => c!["paths"]![0]!.ToString()).ShouldBe(["/zy"]);
    }

    [Theory]
    [InlineData("nothing", "Report.Malformed")]
    [InlineData("null", "Report.Malformed")]
    [InlineData("{\"worker\": \"a worker\", \"traces\": []}", "Report.WorkerMalformed")]
    [InlineData("{\"traces\": []}", "Report.WorkerMalformed")]
    public async Task Report_WhenItIsNoReport_IsRefused(string body, string code)
    {
        using StringContent content = new(body, Encoding.UTF8, "application/json");
        (await RunningProxy.ProblemAsync(await fixture.Proxy.Http.PostAsync("/starlight/report", content))).Code.ShouldBe(code);
    }

    [Fact]
    public async Task Report_OfMillionsOfTraces_IsRefusedWithoutKeepingThem()
    {
        string body = $"{{\"worker\":\"w\",\"traces\":[{string.Join(',', Enumerable.Repeat("{}", 5_000_000))}]}}";
        JsonSerializer.Deserialize(body, ProxyJson.Readable.ReportRequest)!.Traces!.Count.ShouldBe(ReportTracesCommand.MaxTraces + 1);

        using StringContent content = new(body, Encoding.ASCII, "application/json");
        (await RunningProxy.ProblemAsync(await fixture.Proxy.Http.PostAsync("/starlight/report", content))).Code.ShouldBe("Report.TooManyTraces");
    }

    [Fact]
    public async Task Report_WhenItHasAMillionEntries_IsRefusedWhetherItsLengthIsToldOrNot()
    {
        (_, Digest image) = await NotifyAsync(22);
        StringBuilder entries = new();
        for (int i = 0; i < 1_000_000; i++)
        {
            entries.Append(i == 0 ? "" : ",").Append(CultureInfo.InvariantCulture, $"\"{i:x64}\"");
        }

        string body = $"{{\"worker\":\"w\",\"traces\":[{{\"id\":\"{Guid.NewGuid()}\",\"image\":\"{image}\",\"contents\":[{entries}]}}]}}";
        using (HttpRequestMessage told = new(HttpMethod.Post, "/starlight/report") { Content = new StringContent(body, Encoding.ASCII, "application/json") })
        {
            told.Headers.ExpectContinue = true;
            (await RunningProxy.ProblemAsync(await fixture.Proxy.Http.SendAsync(told))).Code.ShouldBe("Report.TooLarge");
        }

        // Who does not say how much it is finds out while sending: the connection is closed, and whether the reason gets through is up to the network.
        using (HttpRequestMessage untold = new(HttpMethod.Post, "/starlight/report") { Content = new StringContent(body, Encoding.ASCII, "application/json") })
        {
            untold.Headers.TransferEncodingChunked = true;
            try
            {
                (await RunningProxy.ProblemAsync(await fixture.Proxy.Http.SendAsync(untold))).Code.ShouldBe("Report.TooLarge");
            }
            catch (HttpRequestException e)
            {
                e.InnerException.ShouldBeOfType<IOException>();
            }
        }

        Outcome(await ReportAsync(Trace(image, [X]))).ShouldBe("stored");
    }

    [Fact]
    public async Task Order_ForATagThatIsNotThere_IsNotFound() =>
        (await RunningProxy.ProblemAsync(await fixture.Proxy.Http.GetAsync($"/starlight/order?ref={fixture.Registry.Host}/never/seen:1"))).Code.ShouldBe("Image.NotIndexed");

    private static byte[] Layer(int seed) => new TarBuilder().Directory("bin").File("bin/app", ProxyFixture.Noise(seed, 40_000), 0x1ed).File("zx", X).File("zy", Y).Build();

    private async Task<(string Name, Digest Image)> NotifyAsync(int seed)
    {
        (ImagePusher pusher, string name) = fixture.NewRepository();
        Pushed image = await pusher.ImageAsync("v", [Layer(seed)]);
        await fixture.Proxy.NotifyAsync($"{name}:v");
        return ($"{name}:v", image.Digest);
    }

    private static JsonObject Trace(Digest image, byte[][] opened) => new()
    {
        ["id"] = Guid.NewGuid().ToString(),
        ["image"] = image.ToString(),
        ["source"] = "optimizer",
        ["startedAt"] = DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture),
        ["contents"] = new JsonArray([.. opened.Select(o => (JsonNode)ProxyFixture.Hex(o))]),
        ["at"] = new JsonArray([.. opened.Select((_, i) => (JsonNode)(i * 1000))]),
        ["waited"] = new JsonArray([.. opened.Select(_ => (JsonNode)0)]),
    };

    private static JsonObject With(JsonObject trace, string key, JsonNode value)
    {
        trace[key] = value;
        return trace;
    }

    private async Task<JsonArray> ReportAsync(params JsonNode[] traces)
    {
        using HttpResponseMessage answer = await fixture.Proxy.Http.PostAsJsonAsync("/starlight/report", new JsonObject { ["worker"] = "edge-1", ["traces"] = new JsonArray(traces) });
        string body = await answer.Content.ReadAsStringAsync();
        answer.StatusCode.ShouldBe(HttpStatusCode.OK, body);
        return JsonNode.Parse(body)!["traces"]!.AsArray();
    }

    private static string Outcome(JsonArray outcomes) => outcomes.ShouldHaveSingleItem()!["outcome"]!.ToString();

    private async Task<JsonNode> OrderAsync(string name)
    {
        string body = await fixture.Proxy.Http.GetStringAsync($"/starlight/order?ref={name}");
        return JsonNode.Parse(body)!["images"]!.AsArray().ShouldHaveSingleItem()!;
    }

    private async Task<string> IdentityAsync(string name)
    {
        using HttpRequestMessage request = new(HttpMethod.Head, $"/starlight/delta?platform=linux/amd64&to={name}");
        using HttpResponseMessage answer = await fixture.Proxy.Http.SendAsync(request);
        EntityTagHeaderValue tag = answer.EnsureSuccessStatusCode().Headers.ETag!;
        return tag.Tag;
    }
}
