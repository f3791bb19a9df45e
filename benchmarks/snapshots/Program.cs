using System.Globalization;
using Starlight.Benchmarks.Snapshots;
using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Grpc;
using Starlight.TestKit;

// What a container's start and end ask of a snapshotter: Prepare on five layers, Mounts, Remove. Asked of a real starlight-daemon and, through a real containerd, of it and of
// containerd's own overlayfs, in turns, so that whatever else the machine does meets all alike. Usage: dotnet run -c Release --project benchmarks/snapshots [-- ROUNDS]
const int Layers = 5;
const int WarmUp = 200;
int rounds = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 1000;

using ScratchDirectory scratch = new();

// One daemon is behind containerd, whose garbage collector removes what it has not made itself, and one is asked directly.
string behind = scratch["behind.sock"];
string alone = scratch["alone.sock"];
await using ContainerdServer containerd = await ContainerdServer.StartAsync(new ContainerdServerOptions { SnapshotterAddress = behind });
await using ServerProgram behindDaemon = await StartDaemonAsync(behind);
await using ServerProgram aloneDaemon = await StartDaemonAsync(alone);
try
{
    using GrpcChannel own = GrpcChannel.ForUnixSocket(alone, new GrpcPeer("snapshotter", "Snapshotter", "start it"));
    using GrpcChannel through = GrpcChannel.ForUnixSocket(containerd.Address, GrpcPeer.Containerd);
    Subject[] subjects =
    [
        new("starlight, its own socket", own, "starlight"),
        new("starlight, through containerd", through, "starlight"),
        new("overlayfs, through containerd", through, "overlayfs"),
    ];
    foreach (Subject subject in subjects)
    {
        await subject.MakeLayersAsync(Layers);
    }

    for (int i = 0; i < WarmUp + rounds; i++)
    {
        foreach (Subject subject in subjects)
        {
            await subject.RunAsync(keep: i >= WarmUp);
        }
    }

    Console.WriteLine($"Prepare + Mounts + Remove of a container's snapshot on {Layers} layers, {rounds} rounds, ms");
    Console.WriteLine("                                  p50      p90      p99   (p50 of Prepare, Mounts, Remove)");
    foreach (Subject subject in subjects)
    {
        Console.WriteLine(subject);
    }

    double ratio = subjects[1].Median / subjects[2].Median;
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"starlight / overlayfs through containerd, p50: {ratio:0.00}"));
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"goal, own socket p50 <= 3 ms: {(subjects[0].Median <= 3 ? "met" : "MISSED")}"));
    return subjects[0].Median <= 3 ? 0 : 1;
}
finally
{
    // they take their gates away
    await aloneDaemon.StopAsync();
    await behindDaemon.StopAsync();
}

Task<ServerProgram> StartDaemonAsync(string socket) => ServerProgram.StartAsync(
    [
        .. StarlightProgram.Daemon, "-c", socket + ".json", "--fs-root", socket + ".store", "--socket", socket, "--daemon", socket + ".commands",
        "--containerd", containerd.Address, "--proxy", "none,http,127.0.0.1:9",
    ],
    line => line.Contains(" ready: ", StringComparison.Ordinal),
    TimeSpan.FromSeconds(60));
