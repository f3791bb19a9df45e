using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Starlight.TestKit;

namespace Starlight.Benchmarks.Order;

/// <summary>One application's two versions on a stack of their own: real containers, traced by the daemon as for a user.</summary>
internal sealed class StartRun : IAsyncDisposable
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromMinutes(2);

    /// <summary>Ports that make-trees.sh gives to the applications.</summary>
    private static readonly Dictionary<string, int> Ports = new(StringComparer.Ordinal)
    {
        ["redis"] = 7001,
        ["memcached"] = 7002,
        ["nginx"] = 7003,
        ["postgres"] = 7004,
        ["python"] = 7005,
        ["node"] = 7006,
        ["java"] = 7007,
        ["tomcat"] = 7008,
    };

    /// <summary>Little against the quickest start, and enough that asking takes no time from it.</summary>
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(2);

    private readonly string _directory;
    private readonly string _app;
    private readonly StarlightStack _stack;
    private readonly HttpClient _http;
    private readonly Dictionary<string, string> _paths = new(StringComparer.Ordinal);

    private StartRun(string directory, string app, StarlightStack stack)
    {
        (_directory, _app, _stack) = (directory, app, stack);
        _http = new HttpClient { BaseAddress = stack.ProxyUrl, Timeout = TimeSpan.FromMinutes(10) };
    }

    public static async Task<StartRun> StartAsync(string directory, string app) => new(directory, app, await StarlightStack.StartAsync());

    public async Task<StartFigures> MeasureAsync()
    {
        // The old version: what is predicted, then what a trace teaches.
        string old = await PushAsync("old");
        await _stack.NotifyAsync(old);
        (IReadOnlyList<(string, long)> predicted, int predictedHot, _) = await OrderAsync(old);
        await _stack.PullWholeAsync(old);
        _ = await RunAsync(old); // the first start of all finds caches cold
        IReadOnlyList<Opening> first = await TraceAsync(old, predicted);

        // The new one: what it inherits, then its own.
        string renewed = await PushAsync("new");
        await _stack.NotifyAsync(renewed);
        (IReadOnlyList<(string, long)> inherited, int inheritedHot, _) = await OrderAsync(renewed);
        await _stack.PullWholeAsync(renewed);
        _ = await RunAsync(renewed);
        IReadOnlyList<Opening> second = await TraceAsync(renewed, inherited);
        (IReadOnlyList<(string Digest, long Size)> own, int ownHot, IReadOnlyList<(string, long)> byPath) = await OrderAsync(renewed);
        IReadOnlyList<Opening> third = await TraceAsync(renewed, own);
        return new StartFigures(
            _app,
            third.Count,
            third.Sum(o => o.Size),
            own.Sum(c => c.Size),
            OrderFigures.Of(byPath, 0, third),
            OrderFigures.Of(predicted, predictedHot, first),
            OrderFigures.Of(inherited, inheritedHot, second),
            OrderFigures.Of(own, ownHot, third),
            _paths);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _stack.DisposeAsync();
    }

    /// <summary>HEX AT WAITED, microseconds, per line.</summary>
    private async Task<IReadOnlyList<Opening>> TraceAsync(string reference, IReadOnlyList<(string Digest, long Size)> order)
    {
        Dictionary<string, long> sizes = order.ToDictionary(c => c.Digest, c => c.Size, StringComparer.Ordinal);
        _ = await RunAsync(reference, traced: true);
        Opening[] opens =
        [
            .. File.ReadLines(Traces().Single()).Skip(1)
                .Select(line => line.Split(' '))
                .Select(open => new Opening("sha256:" + open[0], sizes["sha256:" + open[0]], long.Parse(open[1], CultureInfo.InvariantCulture) / 1e6))
                .OrderBy(open => open.At),
        ];
        (await _stack.Cli("report")).Succeeded();
        return opens;
    }

    /// <summary>Starts the old version, complete on the worker, <paramref name="pairs"/> times traced and as often untraced. The two take turns in being first, so that what drifts meets both.</summary>
    public async Task<TracingFigures> MeasureTracingAsync(int pairs)
    {
        string reference = await PushAsync("old");
        await _stack.NotifyAsync(reference);
        await _stack.PullWholeAsync(reference);
        for (int warm = 0; warm < 2; warm++)
        {
            _ = await RunAsync(reference, traced: false);
            _ = await RunAsync(reference, traced: true);
        }

        double[] untraced = new double[pairs];
        double[] traced = new double[pairs];
        for (int pair = 0; pair < pairs; pair++)
        {
            bool tracedFirst = pair % 2 == 1;
            (tracedFirst ? traced : untraced)[pair] = await RunAsync(reference, tracedFirst);
            (tracedFirst ? untraced : traced)[pair] = await RunAsync(reference, !tracedFirst);
        }

        return new TracingFigures(_app, (int)Traces().Average(file => File.ReadLines(file).Skip(1).Count()), untraced, traced);
    }

    private string[] Traces() => Directory.GetFiles(Path.Combine(_stack.FsRoot, "traces"), "*.trace");

    private async Task<double> RunAsync(string reference, bool traced)
    {
        (await _stack.Cli("optimizer", traced ? "on" : "off")).Succeeded();
        double seconds = await RunAsync(reference);
        (await _stack.Cli("optimizer", "off")).Succeeded();
        return seconds;
    }

    /// <returns>Seconds until the application answers.</returns>
    private async Task<double> RunAsync(string reference)
    {
        string name = _stack.NewName(_app);
        long started = Stopwatch.GetTimestamp();
        (await _stack.Ctr("run", "-d", "--net-host", "--snapshotter", StarlightStack.Snapshotter, reference, name)).Succeeded();
        while (!Answers(Ports[_app]))
        {
            if (Stopwatch.GetElapsedTime(started) > StartDeadline)
            {
                throw new TimeoutException($"{_app} does not answer\n{_stack.Logs}");
            }

            await Task.Delay(AskEvery);
        }

        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        await _stack.RemoveContainerAsync(name);
        await Probe.UntilAsync(() => !Answers(Ports[_app]), $"{_app} has ended", StartDeadline);

        return seconds;
    }

    /// <summary>Without exceptions: there are hundreds of refusals before the answer.</summary>
    private static bool Answers(int port) => Array.Exists([IPAddress.Loopback, IPAddress.IPv6Loopback], address =>
    {
        using Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using SocketAsyncEventArgs connect = new() { RemoteEndPoint = new IPEndPoint(address, port) };
        using ManualResetEventSlim done = new();
        connect.Completed += (_, _) => done.Set();
        if (socket.ConnectAsync(connect))
        {
            done.Wait();
        }

        return connect.SocketError == SocketError.Success;
    });

    private async Task<(IReadOnlyList<(string Digest, long Size)> Order, int Hot, IReadOnlyList<(string, long)> ByPath)> OrderAsync(string reference)
    {
        JsonNode image = JsonNode.Parse(await _http.GetStringAsync($"/starlight/order?all=true&ref={Uri.EscapeDataString(reference)}"))!["images"]![0]!;
        (string Digest, long Size, string Path)[] contents =
            [.. image["contents"]!.AsArray().Select(c => ((string)c!["digest"]!, (long)c["size"]!, c["paths"]!.AsArray().Select(p => (string)p!).Min(StringComparer.Ordinal)!))];
        foreach ((string digest, _, string path) in contents)
        {
            _paths[digest] = path;
        }

        return ([.. contents.Select(c => (c.Digest, c.Size))], (int)image["hot"]!, [.. contents.OrderBy(c => c.Path, StringComparer.Ordinal).Select(c => (c.Digest, c.Size))]);
    }

    /// <summary>A docker archive of one layer with the command as a Dockerfile would have it.</summary>
    private async Task<string> PushAsync(string age)
    {
        string work = _stack.Scratch(_stack.NewName("image"));
        Directory.CreateDirectory(work);
        Tool.Run("tar", ["-C", Path.Combine(_directory, $"{_app}-{age}"), "--sort=name", "--xattrs", "--numeric-owner", "-cf", Path.Combine(work, "layer.tar"), "."]);
        string diffId = Tool.Run("sha256sum", [Path.Combine(work, "layer.tar")])[..64];
        string[] command = Tool.Bash($"eval set -- $(cat '{Path.Combine(_directory, _app + ".cmd")}'); printf '%s\\n' \"$@\"").TrimEnd('\n').Split('\n');
        JsonObject config = new()
        {
            ["os"] = "linux",
            ["architecture"] = RuntimeInformation.OSArchitecture == Architecture.Arm64 ? "arm64" : "amd64",
            ["config"] = new JsonObject
            {
                ["Env"] = new JsonArray("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                ["Cmd"] = new JsonArray([.. command.Select(word => (JsonNode)word)]),
                ["WorkingDir"] = "/srv",
            },
            ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray($"sha256:{diffId}") },
        };
        await File.WriteAllTextAsync(Path.Combine(work, "config.json"), config.ToJsonString());
        JsonArray manifest = [new JsonObject { ["Config"] = "config.json", ["RepoTags"] = new JsonArray($"starlight.test/{_app}:{age}"), ["Layers"] = new JsonArray("layer.tar") }];
        await File.WriteAllTextAsync(Path.Combine(work, "manifest.json"), manifest.ToJsonString());
        string archive = work + ".tar";
        Tool.Run("tar", ["-C", work, "-cf", archive, "manifest.json", "config.json", "layer.tar"]);
        Directory.Delete(work, recursive: true);
        string reference = await _stack.PushAsync($"docker-archive:{archive}", $"start/{_app}:{age}");
        File.Delete(archive);
        return reference;
    }
}
