using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Win32.SafeHandles;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Objects;
using Starlight.TestKit;

namespace Starlight.Benchmarks.Updates;

/// <summary>A registry and a proxy of their own, as processes, and a worker's object store to read bundles into.</summary>
internal sealed class UpdateRun : IAsyncDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromMinutes(30) };
    private readonly IFilesystemImages _filesystems = new ServiceCollection().AddFilesystemImages().BuildServiceProvider().GetRequiredService<IFilesystemImages>();
    private RegistryServer _registry = null!;
    private ServerProgram _proxy = null!;

    /// <param name="preparing">Whether the proxy builds updates before they are asked for.</param>
    public static async Task<UpdateRun> StartAsync(bool preparing)
    {
        UpdateRun run = new();
        run._registry = await RegistryServer.StartAsync();
        string ready = "";
        string config = run._scratch["proxy.json"];
        await File.WriteAllTextAsync(config, preparing ? "{}" : """{ "prepare_bundles": 0 }""");
        run._proxy = await ServerProgram.StartAsync(
            [.. StarlightProgram.Proxy, "--config", config, "--host", "127.0.0.1", "--port", "0", "--data-dir", run._scratch["proxy"]],
            line =>
            {
                ready = line;
                return line.Contains(" listens on http", StringComparison.Ordinal);
            },
            TimeSpan.FromSeconds(60));
        string address = ready[ready.IndexOf("http", StringComparison.Ordinal)..].Split(' ', 2)[0].TrimEnd(',', ';', '.');
        run._http.BaseAddress = new Uri(address);
        return run;
    }

    /// <summary>Copies an image of an OCI layout to the registry.</summary>
    public string Copy(string layout, string tag, string name)
    {
        string reference = $"{_registry.Host}/update:{name}";
        Tool.Run("skopeo", ["copy", "--quiet", "--dest-tls-verify=false", $"oci:{layout}:{tag}", $"docker://{reference}"]);
        return reference;
    }

    /// <summary>Makes an image of one layer from a directory.</summary>
    public async Task<string> PushAsync(string directory, string name)
    {
        string tar = _scratch[name + ".tar"];
        Tool.Run("tar", ["-C", directory, "--sort=name", "-cf", tar, "."]);
        using ImagePusher pusher = new(_registry.Host, "update");
        await pusher.ImageAsync(name, [await File.ReadAllBytesAsync(tar)]);
        return $"{_registry.Host}/update:{name}";
    }

    public async Task<UpdateFigures> MeasureAsync(string from, string to)
    {
        Digest old = await NotifyAsync(from);
        await NotifyAsync(to);
        using Worker worker = new(_scratch["objects"], _filesystems);
        string platform = Uri.EscapeDataString(Platform.Local.ToString());
        await worker.ReadAsync(await _http.GetByteArrayAsync($"/starlight/delta?platform={platform}&to={from}"));

        double before = PeakMegabytes(_proxy.Pid);
        string query = $"/starlight/delta?platform={platform}&to={to}&from={from}@{old}";
        (BundleFigures whole, IReadOnlyList<ContentRef> contents) = await MeasureAsync(worker, query, keep: false);
        (BundleFigures patched, _) = await MeasureAsync(worker, query + "&patch=true", keep: true);
        long gzip = 0;
        foreach (ContentRef content in contents)
        {
            gzip += long.Parse(Tool.Bash($"gzip -6 -n -c '{worker.PathOf(content)}' | wc -c"), CultureInfo.InvariantCulture);
        }

        return new UpdateFigures(contents.Count, contents.Sum(c => c.Size), gzip, whole, patched, (before, PeakMegabytes(_proxy.Pid)), PeakMegabytes(Environment.ProcessId));
    }

    /// <summary>What the first worker waits for that has the old image, once the proxy has had time to prepare: seconds until it has the whole update.</summary>
    public async Task<double> MeasurePreparedAsync(string from, string to)
    {
        Digest old = await NotifyAsync(from);
        string platform = Uri.EscapeDataString(Platform.Local.ToString());
        await _http.GetByteArrayAsync($"/starlight/delta?platform={platform}&to={from}&patch=true");
        await NotifyAsync(to);
        await Probe.UntilAsync(
            async () => (await _http.GetStringAsync("/metrics")).Contains("\nstarlight_bundle_prepared_total 1", StringComparison.Ordinal), "the update is prepared", TimeSpan.FromMinutes(10));

        long started = Stopwatch.GetTimestamp();
        await _http.GetByteArrayAsync($"/starlight/delta?platform={platform}&to={to}&from={from}@{old}&patch=true");
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    public async ValueTask DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _registry.DisposeAsync();
        _http.Dispose();
        _scratch.Dispose();
    }

    private async Task<(BundleFigures Figures, IReadOnlyList<ContentRef> Contents)> MeasureAsync(Worker worker, string query, bool keep)
    {
        double cpu = CpuSeconds(_proxy.Pid);
        long started = Stopwatch.GetTimestamp();
        byte[] bundle = await _http.GetByteArrayAsync(query);
        double build = Stopwatch.GetElapsedTime(started).TotalSeconds;
        cpu = CpuSeconds(_proxy.Pid) - cpu;
        started = Stopwatch.GetTimestamp();
        (IReadOnlyList<ContentRef> contents, int header) = await worker.ReadAsync(bundle);
        double read = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (!keep)
        {
            worker.Forget(contents);
        }

        return (new BundleFigures(bundle.Length, header, build, cpu, read), contents);
    }

    private async Task<Digest> NotifyAsync(string reference)
    {
        using HttpResponseMessage answer = await _http.PostAsync(new Uri($"/starlight/notify?ref={reference}", UriKind.Relative), content: null);
        string body = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? Digest.Parse((string?)JsonNode.Parse(body)!["digest"]).Value : throw new InvalidOperationException(body);
    }

    private static double PeakMegabytes(int pid) =>
        long.Parse(File.ReadLines($"/proc/{pid}/status").First(l => l.StartsWith("VmHWM:", StringComparison.Ordinal))[6..^2], CultureInfo.InvariantCulture) / 1024.0;

    private static double CpuSeconds(int pid)
    {
        using Process process = Process.GetProcessById(pid);
        return process.TotalProcessorTime.TotalSeconds;
    }

    /// <summary>What a worker does with bundles: verified contents in an object store, and filesystem images to build upon.</summary>
    private sealed class Worker(string root, IFilesystemImages filesystems) : IBundleBases, IBundleContentSink, IDisposable
    {
        private readonly ObjectStore _objects = new(root);
        private readonly Dictionary<Digest, BundleBase> _images = [];
        private ObjectWriter? _writer;
        private ContentRef _current;

        public async Task<(IReadOnlyList<ContentRef> Contents, int HeaderLength)> ReadAsync(byte[] bundle)
        {
            using MemoryStream stream = new(bundle);
            BundleReader reader = await BundleReader.OpenAsync(stream, this, CancellationToken.None);
            IReadOnlyList<ContentRef> contents = reader.BindContents(image => filesystems.ReadContents(image).Contents);
            await reader.ReadContentsAsync(this, CancellationToken.None);
            foreach (Domain.Bundles.BundleImage image in reader.Images)
            {
                _images[image.FilesystemDigest] = new BundleBase(image.FilesystemImage, filesystems.ReadContents(image.FilesystemImage).Contents);
            }

            return (contents, reader.HeaderLength);
        }

        public string PathOf(ContentRef content) => _objects.PathOf(content.Digest);

        public void Forget(IReadOnlyList<ContentRef> contents)
        {
            foreach (ContentRef content in contents)
            {
                _objects.Delete(content.Digest);
            }
        }

        public BundleBase? FindImage(Digest filesystem) => _images.GetValueOrDefault(filesystem);

        public SafeFileHandle? OpenContent(Digest content) => File.OpenHandle(_objects.PathOf(content));

        public ValueTask PutAsync(ContentRef content, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            _objects.Put(content.Digest, bytes.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask BeginAsync(ContentRef content, CancellationToken cancellationToken)
        {
            (_current, _writer) = (content, _objects.BeginWrite(content.Size));
            return ValueTask.CompletedTask;
        }

        public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            _writer!.Write(bytes.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask CompleteAsync(CancellationToken cancellationToken)
        {
            _writer!.Commit(_current.Digest);
            return ValueTask.CompletedTask;
        }

        public void Dispose()
        {
            _writer?.Dispose();
            _objects.Dispose();
        }
    }
}
