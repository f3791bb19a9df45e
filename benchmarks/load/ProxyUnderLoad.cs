using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Starlight.Domain.Content;
using Starlight.TestKit;

namespace Starlight.Benchmarks.Load;

/// <summary>A registry, a database if one was asked for, and a proxy: all processes of their own on loopback ports, with directories of their own. Disposing ends and removes them.</summary>
internal sealed class ProxyUnderLoad : IAsyncDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromHours(2) };
    private PostgresServer? _postgres;
    private string? _database;
    private ServerProgram? _proxy;
    private RegistryServer _registry = null!;

    public IPEndPoint EndPoint { get; private set; } = null!;

    public string RegistryHost => _registry.Host;

    /// <summary>For files of the benchmark's own.</summary>
    public ScratchDirectory Scratch => _scratch;

    public ProcessFigures Process => new(_proxy!.Pid);

    public static async Task<ProxyUnderLoad> StartAsync(bool postgres)
    {
        ProxyUnderLoad load = new();
        try
        {
            load._registry = await RegistryServer.StartAsync();
            if (postgres)
            {
                load._postgres = await PostgresServer.StartAsync();
                load._database = load._postgres.CreateDatabase();
            }

            await load.RestartAsync();
            return load;
        }
        catch
        {
            await load.DisposeAsync();
            throw;
        }
    }

    /// <summary>The same data with a new process.</summary>
    public async Task RestartAsync()
    {
        if (_proxy is not null)
        {
            await _proxy.StopAsync();
            await _proxy.DisposeAsync();
        }

        string ready = "";
        string[] database = _database is null ? [] : ["--postgres", _database];
        _proxy = await ServerProgram.StartAsync(
            [.. StarlightProgram.Proxy, "--host", "127.0.0.1", "--port", "0", "--data-dir", _scratch["proxy"], .. database],
            line =>
            {
                ready = line;
                return line.Contains(" listens on http", StringComparison.Ordinal);
            },
            TimeSpan.FromSeconds(60));
        Uri address = new(ready[ready.IndexOf("http", StringComparison.Ordinal)..].Split(' ', 2)[0].TrimEnd(',', ';', '.'));
        EndPoint = new IPEndPoint(IPAddress.Parse(address.Host), address.Port);
    }

    /// <summary>Has the proxy index an image.</summary>
    /// <returns>Digest of the manifest.</returns>
    public async Task<Digest> NotifyAsync(string reference)
    {
        using HttpResponseMessage answer = await _http.PostAsync(AddressOf($"/starlight/notify?ref={reference}"), content: null);
        string body = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? Digest.Parse((string?)JsonNode.Parse(body)!["digest"]).Value : throw new InvalidOperationException(body);
    }

    /// <summary>Path and query of a bundle.</summary>
    public static string BundlePath(string reference, string? from = null) =>
        $"/starlight/delta?platform=linux/amd64&to={reference}{(from is null ? "" : $"&from={from}&patch=true")}";

    /// <summary>Saves a bundle to a file, or only counts it.</summary>
    public async Task<long> DownloadAsync(string path, string? file)
    {
        using HttpResponseMessage answer = await _http.GetAsync(AddressOf(path), HttpCompletionOption.ResponseHeadersRead);
        if (!answer.IsSuccessStatusCode)
        {
            throw new InvalidOperationException(await answer.Content.ReadAsStringAsync());
        }

        await using Stream body = await answer.Content.ReadAsStreamAsync();
        await using Stream output = file is null ? Stream.Null : File.Create(file);
        byte[] buffer = new byte[1 << 20];
        long length = 0;
        while (await body.ReadAsync(buffer) is > 0 and int read)
        {
            await output.WriteAsync(buffer.AsMemory(0, read));
            length += read;
        }

        return length;
    }

    /// <summary>Asks about a bundle without having it made: what remains is planning.</summary>
    public async Task HeadAsync(string path)
    {
        using HttpRequestMessage head = new(HttpMethod.Head, AddressOf(path));
        using HttpResponseMessage answer = await _http.SendAsync(head);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>Milliseconds that the proxy itself says it has planned so far; it says nothing before the first time.</summary>
    public async Task<double> PlannedMillisecondsAsync()
    {
        const string sum = "starlight_delta_plan_duration_seconds_sum";
        string metrics = await _http.GetStringAsync(AddressOf("/metrics"));
        string? line = metrics.Split('\n').FirstOrDefault(l => l.StartsWith(sum, StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture) * 1000;
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (_proxy is not null)
        {
            await _proxy.DisposeAsync();
        }

        if (_postgres is not null)
        {
            await _postgres.DisposeAsync();
        }

        if (_registry is not null)
        {
            await _registry.DisposeAsync();
        }

        _scratch.Dispose();
    }

    private Uri AddressOf(string path) => new($"http://{EndPoint}{path}");
}
