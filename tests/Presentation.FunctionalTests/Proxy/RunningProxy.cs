using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Starlight.Presentation.Proxy;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>The composed proxy on a port of its own, reached by HTTP only.</summary>
public sealed class RunningProxy : IAsyncDisposable
{
    /// <summary>Reads from the registry and builds only what it is asked for.</summary>
    internal const string Quiet = """{ "prepare_bundles": 0 }""";

    private readonly ScratchDirectory _data = new();
    private readonly ScratchDirectory _config = new();
    private WebApplication? _app;

    public HttpClient Http { get; private set; } = null!;

    public Uri Address { get; private set; } = null!;

    public string DataDirectory => _data.Path;

    /// <summary>Flags beside address, port and data directory; taken at each start.</summary>
    internal CommandLineSettings Flags { get; set; } = new();

    /// <summary>The configuration file's content; taken at each start.</summary>
    internal string Config { get; set; } = Quiet;

    public static Task<RunningProxy> StartAsync(string? storeLimit = null, string? database = null) => StartAsync(new CommandLineSettings { StoreLimit = storeLimit, Database = database });

    internal static async Task<RunningProxy> StartAsync(CommandLineSettings flags, string config = Quiet)
    {
        RunningProxy proxy = new() { Flags = flags, Config = config };
        await proxy.RestartAsync();
        return proxy;
    }

    /// <summary>Stops it if it runs, and starts it on the same data.</summary>
    public async Task RestartAsync()
    {
        await StopAsync();
        await File.WriteAllTextAsync(_config["proxy.json"], Config);
        ProxySettings settings = SettingsSources.Resolve(Flags with { Config = _config["proxy.json"], Host = "127.0.0.1", Port = "0", DataDirectory = _data.Path, LogLevel = "error" }, _ => null);
        _app = ProxyHost.Build(settings);
        await _app.StartAsync();
        Address = new Uri(ProxyHost.AddressOf(_app));
        Http = new HttpClient { BaseAddress = Address };
    }

    public async Task<JsonNode> NotifyAsync(string reference, string more = "")
    {
        using HttpResponseMessage answer = await Http.PostAsync($"/starlight/notify?ref={reference}{more}", null);
        string body = await answer.Content.ReadAsStringAsync();
        answer.IsSuccessStatusCode.ShouldBeTrue(body);
        return JsonNode.Parse(body)!;
    }

    public async Task<byte[]> DeltaAsync(string query) => await Http.GetByteArrayAsync($"/starlight/delta?platform=linux/amd64&{query}");

    /// <summary>The bundles on disk, once those are there that were sent: a bundle's readers do not wait for the disk.</summary>
    public async Task<string[]> BundleFilesAsync()
    {
        string directory = Path.Combine(DataDirectory, "bundles");
        await Probe.UntilAsync(() => Directory.GetFiles(directory, "*.partial").Length == 0, "no bundle is being written");
        return Directory.GetFiles(directory);
    }

    /// <summary>Asserts the form of a problem answer and returns its code.</summary>
    public static async Task<(int Status, string Code, string Detail)> ProblemAsync(HttpResponseMessage answer)
    {
        answer.Content.Headers.ContentType?.MediaType.ShouldBe("application/problem+json");
        JsonElement problem = await answer.Content.ReadFromJsonAsync<JsonElement>();
        problem.GetProperty("status").GetInt32().ShouldBe((int)answer.StatusCode);
        string detail = problem.GetProperty("detail").GetString()!;
        detail.ShouldNotContain("\n");
        return ((int)answer.StatusCode, problem.GetProperty("code").GetString()!, detail);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _data.Dispose();
        _config.Dispose();
    }

    private async Task StopAsync()
    {
        if (_app is not null)
        {
            Http.Dispose();
            await _app.StopAsync();
            await _app.DisposeAsync();
        }
    }
}
