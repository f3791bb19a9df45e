using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Fuse;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Fuse;

/// <summary>What containers see when the daemon is killed: the gate is owned by a child process, which gets SIGKILL.</summary>
public sealed class GateCrashTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly GateRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task KilledOwner_WhenContentsHaveArrived_TheyKeepWorkingAndOthersFailWithEnotconn()
    {
        Digest opened = _rig.Image.AddFile("opened", Encoding.ASCII.GetBytes("opened before"));
        Digest unopened = _rig.Image.AddFile("unopened", Encoding.ASCII.GetBytes("first opened after"));
        _rig.Image.AddFile("waited", Encoding.ASCII.GetBytes("waited for"));
        _rig.Image.AddFile("absent", Encoding.ASCII.GetBytes("absent"));
        _rig.Store.Put(opened, _rig.Image.Contents[opened]);
        _rig.Store.Put(unopened, _rig.Image.Contents[unopened]);
        using ChildProcess owner = GateOwner.Start(_rig.Store.Root, _rig.GatePath);
        await Probe.UntilAsync(() => File.Exists(GateOwner.ReadyFile(_rig.GatePath)), "the child's gate is mounted");
        try
        {
            GatedContainer container = await _rig.MountAsync(Path.Combine(_rig.GatePath, "c"), Path.Combine(_rig.GatePath, GateProtocol.TailName));
            (await ProcessRunner.RunAsync("cat", [container["opened"]])).Succeeded().ShouldBe("opened before");
            using ChildProcess waiting = ChildProcess.Start("cat", [container["waited"]]);
            await Probe.UntilAsync(() => File.ReadAllText($"/proc/{waiting.Pid}/stack").Contains("fuse_", StringComparison.Ordinal), "the reader waits");

            owner.Kill();
            await owner.WaitAsync(Patience);

            (await waiting.WaitAsync(Patience)).ErrorOutput.ShouldContain("endpoint is not connected");
            (await ProcessRunner.RunAsync("cat", [container["opened"]])).Succeeded().ShouldBe("opened before");
            (await ProcessRunner.RunAsync("cat", [container["unopened"]])).Succeeded().ShouldBe("first opened after");
            (await ProcessRunner.RunAsync("cat", [container["absent"]])).ErrorOutput.ShouldContain("endpoint is not connected");
            (await ProcessRunner.RunAsync("stat", ["-c", "%s", container["absent"]])).Succeeded().ShouldBe("6\n");

            // The next daemon takes the mount point over, and what was absent can arrive for containers mounted from then on.
            MountTable.Find(_rig.GatePath)!.FileSystemType.ShouldBe("fuse.starlight");
            _rig.ExpectAll();
            GatedContainer next = await _rig.MountAsync();
            _rig.Deliver(Digest.Of("absent"u8));
            (await ProcessRunner.RunAsync("cat", [next["absent"]])).Succeeded().ShouldBe("absent");
            (await ProcessRunner.RunAsync("cat", [container["absent"]])).Succeeded().ShouldBe("absent");
        }
        finally
        {
            MountSyscalls.Detach(_rig.GatePath);
        }
    }
}

/// <summary>
/// The child's side: this test assembly, started as a program with two variables set, mounts a gate and stays until it is killed. A module initializer
/// and not a Main, since the test SDK generates that.
/// </summary>
internal static class GateOwner
{
    private const string StoreVariable = "STARLIGHT_TEST_GATE_STORE";
    private const string MountVariable = "STARLIGHT_TEST_GATE_MOUNT";

    public static ChildProcess Start(string store, string mountPoint) => ChildProcess.Start(
        "dotnet",
        ["exec", typeof(GateOwner).Assembly.Location],
        new Dictionary<string, string> { [StoreVariable] = store, [MountVariable] = mountPoint });

    public static string ReadyFile(string mountPoint) => mountPoint + ".ready";

    [ModuleInitializer]
    internal static void RunIfAsked()
    {
        string? store = Environment.GetEnvironmentVariable(StoreVariable);
        string? mountPoint = Environment.GetEnvironmentVariable(MountVariable);
        if (store is null || mountPoint is null)
        {
            return;
        }

        var board = new ArrivalBoard(new ObjectStore(store));
        board.Expect([Digest.Of("waited for"u8), Digest.Of("absent"u8)]);
        ArrivalGate gate = ArrivalGate.Mount(board, mountPoint, NullLogger<ArrivalGate>.Instance);
        gate.CreateDirectory("c");
        File.WriteAllText(ReadyFile(mountPoint), "");
        Thread.Sleep(Timeout.Infinite);
    }
}
