using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Starlight.TestKit;

/// <summary>
/// A real registry (Debian's <c>docker-registry</c>) on a loopback port of its own choosing, with storage of its own. Stops its own process and deletes its own
/// directory when disposed.
/// </summary>
public sealed partial class RegistryServer : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);

    private readonly string _directory;
    private readonly string _address;
    private readonly (string User, string Password)? _credentials;
    private readonly StringBuilder _log = new();
    private Process? _process;
    private string _notifications = "";

    private RegistryServer(string directory, (string User, string Password)? credentials, string address)
    {
        _directory = directory;
        _address = address;
        _credentials = credentials;
    }

    /// <summary><c>ADDRESS:PORT</c>: what references start with.</summary>
    public string Host => $"{_address}:{Port}";

    public int Port { get; private set; }

    /// <summary>Where the registry keeps <c>docker/registry/v2/…</c>; a test may damage files in it.</summary>
    public string StorageDirectory => Path.Combine(_directory, "storage");

    /// <summary>What the registry has logged so far.</summary>
    public string Log
    {
        get
        {
            lock (_log)
            {
                return _log.ToString();
            }
        }
    }

    /// <param name="credentials">Null: anonymous; else HTTP Basic is asked for.</param>
    /// <param name="address">Where it listens: on the loopback unless somebody must reach it from elsewhere.</param>
    public static async Task<RegistryServer> StartAsync((string User, string Password)? credentials = null, string address = "127.0.0.1")
    {
        string directory = Directory.CreateTempSubdirectory("starlight-registry-").FullName;
        RegistryServer server = new(directory, credentials, address);
        try
        {
            await server.StartProcessAsync(port: 0);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Kills the process; storage and port stay for <see cref="RestartAsync"/>.</summary>
    public async Task StopAsync()
    {
        if (_process is { } process)
        {
            _process = null;
            if (!process.HasExited)
            {
                process.Kill();
            }

            await process.WaitForExitAsync();
            process.Dispose();
        }
    }

    /// <summary>Restarts it so that it tells <paramref name="endpoint"/> about every event from now on.</summary>
    /// <param name="endpoint">A URL that takes notifications.</param>
    /// <param name="authorization">What goes into the Authorization header; null for none.</param>
    public async Task NotifyAsync(Uri endpoint, string? authorization)
    {
        string headers = authorization is null ? "" : $"      headers:\n        Authorization: ['{authorization}']\n";
        _notifications = $"notifications:\n  endpoints:\n    - name: test\n      url: {endpoint}\n{headers}      timeout: 5s\n      threshold: 1\n      backoff: 100ms\n";
        await StopAsync();
        await RestartAsync();
    }

    /// <summary>Starts again with the same port and storage.</summary>
    public Task RestartAsync() => StartProcessAsync(Port);

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task StartProcessAsync(int port)
    {
        string auth = "";
        if (_credentials is { } credentials)
        {
            string htpasswd = Path.Combine(_directory, "htpasswd");
            await File.WriteAllTextAsync(htpasswd, $"{credentials.User}:{Bcrypt(credentials.Password)}\n");
            auth = $"auth:\n  htpasswd:\n    realm: starlight-test\n    path: {htpasswd}\n";
        }

        string configuration = Path.Combine(_directory, "config.yml");
        await File.WriteAllTextAsync(
            configuration,
            $"version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {StorageDirectory}\n  delete:\n    enabled: true\n  maintenance:\n    uploadpurging:\n      enabled: false\n"
            + $"http:\n  addr: {_address}:{port}\n  secret: starlight-test\n{auth}{_notifications}");

        ProcessStartInfo start = new("docker-registry", ["serve", configuration]) { RedirectStandardError = true, RedirectStandardOutput = true, UseShellExecute = false };
        TaskCompletionSource<int> listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Process process = new() { StartInfo = start, EnableRaisingEvents = true };
        void Collect(string? line)
        {
            if (line is null)
            {
                return;
            }

            lock (_log)
            {
                _log.AppendLine(line);
            }

            Match match = ListeningPattern().Match(line);
            if (match.Success)
            {
                listening.TrySetResult(int.Parse(match.Groups["port"].ValueSpan));
            }
        }

        process.OutputDataReceived += (_, e) => Collect(e.Data);
        process.ErrorDataReceived += (_, e) => Collect(e.Data);
        process.Exited += (_, _) => listening.TrySetException(new InvalidOperationException("docker-registry ended while it started"));
        try
        {
            process.Start();
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException("these tests need the package docker-registry", e);
        }

        _process = process;
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        try
        {
            Port = await listening.Task.WaitAsync(StartLimit);
        }
        catch (Exception e) when (e is TimeoutException or InvalidOperationException)
        {
            throw new InvalidOperationException($"docker-registry does not listen: {e.Message}\n{Log}", e);
        }
    }

    /// <summary>The only hash that the registry takes in htpasswd files. Cost 4, the least there is: tests log in often.</summary>
    private static string Bcrypt(string password)
    {
        // libxcrypt, part of every Debian system (crypt(5), "bcrypt").
        IntPtr hash = Crypt(password, "$2b$04$abcdefghijklmnopqrstuu");
        return Marshal.PtrToStringUTF8(hash) ?? throw new InvalidOperationException("libcrypt has no bcrypt");
    }

    [LibraryImport("libcrypt.so.1", EntryPoint = "crypt", StringMarshalling = StringMarshalling.Utf8)]
    private static partial IntPtr Crypt(string key, string salt);

    [GeneratedRegex(@"listening on [0-9.]+:(?<port>[0-9]+)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex ListeningPattern();
}
