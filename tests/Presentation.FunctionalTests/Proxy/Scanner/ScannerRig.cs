using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy.Scanner;

/// <summary>A real registry and a proxy with rules for it.</summary>
public sealed class ScannerRig : IAsyncDisposable
{
    public const string Secret = "0123456789abcdef0123456789abcdef";
    public const string DistributionV1 = "application/vnd.docker.distribution.events.v1+json";

    /// <summary>Converts test/*, indexes index/*, leaves the rest alone.</summary>
    public const string Rules = """[{"source": "test/never*:*", "action": "ignore"}, {"source": "test/*:*", "destination": "{repository}:{tag}-starlight"}, {"source": "index/*:*"}]""";

    public RegistryServer Registry { get; private init; } = null!;

    public RunningProxy Proxy { get; private init; } = null!;

    public static async Task<ScannerRig> StartAsync(string rules = Rules, string more = "", bool secret = true, string? database = null)
    {
        Requirements.Program("docker-registry");
        RegistryServer registry = await RegistryServer.StartAsync();
        RunningProxy proxy = await RunningProxy.StartAsync(new CommandLineSettings { Database = database }, Configuration(registry.Host, rules, more, secret));
        return new ScannerRig { Registry = registry, Proxy = proxy };
    }

    public static string Configuration(string registry, string rules = Rules, string more = "", bool secret = true) =>
        $$"""{"default_registry": "{{registry}}", "default_registry_alias": ["registry.internal:5000"], "scanner": {{{(secret ? $"\"secret\": \"{Secret}\"," : "")}}{{more}} "rules": {{rules}}} }""";

    /// <summary>From now on the registry tells the proxy about every event.</summary>
    public Task ConnectAsync() => Registry.NotifyAsync(new Uri(Proxy.Address, "/scanner"), $"Bearer {Secret}");

    public Task<HttpResponseMessage> SendAsync(string body, string mediaType = DistributionV1, string? authorization = "Bearer " + Secret) =>
        SendAsync(new ByteArrayContent(Encoding.UTF8.GetBytes(body)), mediaType, authorization);

    public async Task<HttpResponseMessage> SendAsync(HttpContent content, string? mediaType, string? authorization)
    {
        content.Headers.ContentType = mediaType is null ? null : MediaTypeHeaderValue.Parse(mediaType);
        using HttpRequestMessage request = new(HttpMethod.Post, "/scanner") { Content = content };
        if (authorization is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        }

        return await Proxy.Http.SendAsync(request);
    }

    /// <summary>Sends what is accepted.</summary>
    public async Task<JsonNode> AcceptAsync(string body, string mediaType = DistributionV1, string? authorization = "Bearer " + Secret)
    {
        using HttpResponseMessage answer = await SendAsync(body, mediaType, authorization);
        string text = await answer.Content.ReadAsStringAsync();
        ((int)answer.StatusCode).ShouldBe(202, text);
        return JsonNode.Parse(text)!;
    }

    public async Task<JsonNode[]> JobsAsync(string query = "")
    {
        using HttpRequestMessage request = new(HttpMethod.Get, "/scanner/jobs" + query);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Secret);
        using HttpResponseMessage answer = await Proxy.Http.SendAsync(request);
        string text = await answer.Content.ReadAsStringAsync();
        ((int)answer.StatusCode).ShouldBe(200, text);
        return [.. JsonNode.Parse(text)!["jobs"]!.AsArray().Select(j => j!)];
    }

    /// <summary>The one job of a source, once it is in the state.</summary>
    public async Task<JsonNode> JobAsync(string source, string state)
    {
        JsonNode? job = null;
        try
        {
            await Probe.UntilAsync(
                async () =>
                {
                    job = (await JobsAsync($"?ref={source}")).SingleOrDefault();
                    return (string?)job?["state"] == state;
                },
                $"{source} {state}",
                TimeSpan.FromSeconds(60));
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}; it is {job?.ToJsonString() ?? "unknown"}", e);
        }

        return job!;
    }

    /// <summary>An envelope as distribution sends it.</summary>
    public string Event(string repository, string tag, string digest, string action = "push", string? host = null) => Envelope(One(repository, tag, digest, action, host));

    public static string Envelope(params JsonNode?[] events) => new JsonObject { ["events"] = new JsonArray(events) }.ToJsonString();

    public JsonObject One(string repository, string? tag, string digest, string action = "push", string? host = null)
    {
        JsonObject target = new()
        {
            ["mediaType"] = "application/vnd.oci.image.manifest.v1+json",
            ["size"] = 500,
            ["digest"] = digest,
            ["length"] = 500,
            ["repository"] = repository,
            ["url"] = $"http://{host ?? Registry.Host}/v2/{repository}/manifests/{digest}",
        };
        if (tag is not null)
        {
            target["tag"] = tag;
        }

        return new JsonObject
        {
            ["id"] = Guid.NewGuid().ToString(),
            ["timestamp"] = "2026-01-02T03:04:05.678Z",
            ["action"] = action,
            ["target"] = target,
            ["request"] = new JsonObject { ["id"] = Guid.NewGuid().ToString(), ["addr"] = "10.0.0.1:4711", ["host"] = host ?? Registry.Host, ["method"] = "PUT", ["useragent"] = "containerd/2.1" },
            ["actor"] = new JsonObject { ["name"] = "ci" },
            ["source"] = new JsonObject { ["addr"] = "registry:5000", ["instanceID"] = Guid.NewGuid().ToString() },
        };
    }

    public async ValueTask DisposeAsync()
    {
        await Proxy.DisposeAsync();
        await Registry.DisposeAsync();
    }
}
