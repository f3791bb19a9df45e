using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Starlight.TestKit;

/// <summary>
/// A real Postgres on a loopback port and directory of its own. initdb and postgres refuse to run as root, so they run as the user postgres then.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private readonly string _directory;
    private int _databases;

    private PostgresServer(string directory, int port) => (_directory, Port) = (directory, port);

    public int Port { get; }

    private static string Programs => Directory.GetDirectories("/usr/lib/postgresql").Order(StringComparer.Ordinal).Last() + "/bin/";

    private string DataDirectory => Path.Combine(_directory, "data");

    public static Task<PostgresServer> StartAsync()
    {
        if (!Directory.Exists("/usr/lib/postgresql"))
        {
            Requirements.Program("initdb");
        }

        string directory = Directory.CreateTempSubdirectory("starlight-postgres-").FullName;
        if (Environment.UserName == "root")
        {
            Tool.Run("chown", ["postgres", directory]);
        }

        PostgresServer server = new(directory, FreePort());

        // Not synced: the data does not outlive the test.
        server.RunAsUser("initdb", "-D", server.DataDirectory, "-U", "starlight", "-A", "trust", "-E", "UTF8", "--no-sync");
        server.Start();
        return Task.FromResult(server);
    }

    /// <summary>Waits until it accepts connections.</summary>
    public void Start() => RunAsUser(
        "pg_ctl", "-D", DataDirectory, "-w", "-t", "60", "-l", Path.Combine(_directory, "log"), "-o", $"-p {Port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={_directory} -c fsync=off", "start");

    public void Stop() => RunAsUser("pg_ctl", "-D", DataDirectory, "-w", "-m", "immediate", "stop");

    /// <summary>A new empty database; its connection string.</summary>
    public string CreateDatabase()
    {
        string name = $"test{Interlocked.Increment(ref _databases)}";
        RunAsUser("psql", "-h", "127.0.0.1", "-p", $"{Port}", "-U", "starlight", "-d", "postgres", "-q", "-c", $"CREATE DATABASE {name}");
        return $"postgres://starlight@127.0.0.1:{Port}/{name}";
    }

    public ValueTask DisposeAsync()
    {
        if (File.Exists(Path.Combine(DataDirectory, "postmaster.pid")))
        {
            Stop();
        }

        Directory.Delete(_directory, recursive: true);
        return ValueTask.CompletedTask;
    }

    private static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private void RunAsUser(string program, params string[] arguments)
    {
        // pg_ctl leaves a server behind that inherits standard output: do not wait for its end.
        string[] command = [Programs + program, .. arguments];
        if (Environment.UserName == "root")
        {
            command = ["runuser", "-u", "postgres", "--", .. command];
        }

        ProcessStartInfo start = new("sh", ["-c", "exec \"$@\" >\"$0\" 2>&1 </dev/null", Path.Combine(_directory, $"{program}.out"), .. command]) { UseShellExecute = false, WorkingDirectory = "/" };
        using Process process = Process.Start(start)!;
        if (!process.WaitForExit(TimeSpan.FromMinutes(2)) || process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} failed: {File.ReadAllText(Path.Combine(_directory, $"{program}.out"))}");
        }
    }
}
