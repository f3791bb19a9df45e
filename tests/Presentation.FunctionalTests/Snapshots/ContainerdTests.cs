using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.Infrastructure.Grpc;
using Starlight.TestKit;
using WireMount = Starlight.Infrastructure.Containerd.Protocol.Types.Mount;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

/// <summary>The snapshotter behind a real containerd, as a proxy plugin.</summary>
public sealed class ContainerdTests : IAsyncLifetime
{
    private const string Name = ContainerdServer.SnapshotterName;
    private const string Reference = "containerd.io/snapshot.ref";
    private const string Image = "docker.io/test/tiny:1";

    private SnapshotterUnderTest _snapshotter = null!;
    private ContainerdServer _containerd = null!;

    public async Task InitializeAsync()
    {
        _snapshotter = await SnapshotterUnderTest.StartAsync();
        _containerd = await ContainerdServer.StartAsync(new ContainerdServerOptions { SnapshotterAddress = _snapshotter.SocketPath });
        await _containerd.ReachSnapshotterAsync();
    }

    public async Task DisposeAsync()
    {
        await _containerd.DisposeAsync();
        await _snapshotter.DisposeAsync();
    }

    [Fact]
    public async Task CtrSnapshots_EachSubcommand_Works()
    {
        (await SnapshotsAsync("prepare", "base-a")).ShouldBe("");
        string mounts = await SnapshotsAsync("mounts", Path.Combine(_snapshotter.Work, "m"), "base-a");
        mounts.ShouldStartWith("mount -t bind ");
        await SnapshotsAsync("commit", "base", "base-a");
        await SnapshotsAsync("prepare", "top", "base");
        await SnapshotsAsync("view", "look", "base");
        await SnapshotsAsync("label", "base", "color=blue");
        await SnapshotsAsync("usage", "base", "top");

        string list = await SnapshotsAsync("ls");
        list.ShouldContain("Committed");
        list.ShouldContain("Active");
        list.ShouldContain("View");
        (await SnapshotsAsync("info", "base")).ShouldContain("\"color\": \"blue\"");
        (await SnapshotsAsync("tree")).ShouldContain("top");
        ProcessOutcome refused = await _containerd.Ctr("snapshots", "--snapshotter", Name, "rm", "base");
        refused.ExitCode.ShouldNotBe(0);
        refused.ErrorOutput.ShouldContain("child");
        await SnapshotsAsync("rm", "look", "top");
        await SnapshotsAsync("rm", "base");
        (await SnapshotsAsync("ls")).ShouldNotContain("base");
    }

    [Fact]
    public async Task CtrImportAndRun_OfAnOrdinaryImage_UnpacksAndRunsIt()
    {
        string archive = Path.Combine(_snapshotter.Work, "tiny.tar");
        IReadOnlyList<string> diffIds = TinyImage.Write(archive, Image, "mkdir etc; echo one > etc/version; echo gone > gone", "mkdir etc; echo two > etc/version; mknod .wh.gone c 0 0 || true; rm -f .wh.gone; touch .wh.gone");

        (await _containerd.Ctr("images", "import", "--snapshotter", Name, archive)).Succeeded();
        string output = await OutputAsync(logging => ["run", "--rm", .. logging, "--snapshotter", Name, Image, "c1", "/bin/sh", "-c", "cat /etc/version; ls /; echo written > /etc/written; cat /etc/written"]);

        output.ShouldStartWith("two\n");
        output.ShouldEndWith("written\n");
        output.ShouldNotContain("gone");
        IReadOnlyList<Info> left = await _snapshotter.ListAsync();
        left.Count(info => info.Kind == Kind.Committed).ShouldBe(diffIds.Count);

        // Nothing refers to it any more: containerd collects its snapshots through Walk, Remove and Cleanup.
        (await _containerd.Ctr("images", "rm", "--sync", Image)).Succeeded();
        await EventuallyAsync(async () => (await _snapshotter.ListAsync()).Count == 0);
        Directory.EnumerateFileSystemEntries(Path.Combine(_snapshotter.Root, "snapshots")).ShouldBeEmpty();
    }

    [Fact]
    public async Task CtrTaskStart_AfterTheSnapshotterWasRestarted_StillMounts()
    {
        string archive = Path.Combine(_snapshotter.Work, "tiny.tar");
        TinyImage.Write(archive, Image, "echo x > x");
        (await _containerd.Ctr("images", "import", "--snapshotter", Name, archive)).Succeeded();
        (await _containerd.Ctr("containers", "create", "--snapshotter", Name, Image, "c1", "/bin/cat", "/x")).Succeeded();

        await _snapshotter.RestartAsync();
        await _containerd.ReachSnapshotterAsync();

        (await OutputAsync(logging => ["tasks", "start", .. logging, "c1"])).ShouldBe("x\n");
        (await _containerd.Ctr("containers", "rm", "c1")).Succeeded();
    }

    [Theory]
    [InlineData("default")]
    [InlineData("default k8s.io")]
    public async Task Prepare_OfProvidedLayersThroughContainerd_IsFoundByItsNameInEachNamespace(string namespaces)
    {
        string directory = Path.Combine(_snapshotter.Work, "image");
        Directory.CreateDirectory(directory);
        using var image = new ErofsTree(directory, new Dictionary<string, string> { ["hello"] = "hello\n" });
        _snapshotter.Images.Chains["sha256:l1"] = new RootFilesystemLayers(image.MetadataDirectory, null, image.ObjectsDirectory);
        _snapshotter.Images.Chains["sha256:l2"] = _snapshotter.Images.Chains["sha256:l1"];
        using GrpcChannel channel = GrpcChannel.ForUnixSocket(_containerd.Address, GrpcPeer.Containerd);

        foreach (string @namespace in namespaces.Split(' '))
        {
            var options = new GrpcCallOptions { Metadata = new Dictionary<string, string> { ["containerd-namespace"] = @namespace } };
            await PrepareAsync("extract-1 sha256:l1", "", "sha256:l1").ShouldFailAsync(ErrorKind.AlreadyExists);
            await PrepareAsync("extract-2 sha256:l2", "sha256:l1", "sha256:l2").ShouldFailAsync(ErrorKind.AlreadyExists);
            await PrepareAsync("extract-3 sha256:l2", "sha256:l1", "sha256:l2").ShouldFailAsync(ErrorKind.AlreadyExists);

            Info top = (await channel.UnaryAsync(SnapshotsMethods.Stat, new StatSnapshotRequest { Snapshotter = Name, Key = "sha256:l2" }, options)).Info;
            top.Kind.ShouldBe(Kind.Committed);
            top.Parent.ShouldBe("sha256:l1");
            using (Mounted root = _snapshotter.Mount($"root-{@namespace}", await PrepareAsync("container", "sha256:l2", reference: null)))
            {
                Tool.Bash("cat hello", root.Target).ShouldBe("hello\n");
            }

            async Task<IReadOnlyList<WireMount>> PrepareAsync(string key, string parent, string? reference)
            {
                // The root label keeps containerd's garbage collector off what no image refers to.
                var request = new PrepareSnapshotRequest { Snapshotter = Name, Key = key, Parent = parent, Labels = { ["containerd.io/gc.root"] = "test" } };
                if (reference is not null)
                {
                    request.Labels[Reference] = reference;
                }

                return (await channel.UnaryAsync(SnapshotsMethods.Prepare, request, options)).Mounts;
            }
        }

        (await _snapshotter.ListAsync("kind==committed")).Select(info => info.Name).ShouldBe(["sha256:l1", "sha256:l2"]);
        _snapshotter.Images.Asked.Count.ShouldBe(2);
    }

    private async Task<string> SnapshotsAsync(params string[] arguments) => (await _containerd.Ctr(["snapshots", "--snapshotter", Name, .. arguments])).Succeeded();

    private async Task<string> OutputAsync(Func<string[], string[]> arguments)
    {
        using LoggedCtr ctr = new(Path.Combine(_snapshotter.Work, "output"), logging => _containerd.StartCtr(arguments(logging)));
        return (await ctr.WaitAsync(TimeSpan.FromMinutes(1))).Succeeded();
    }

    private static async Task EventuallyAsync(Func<Task<bool>> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!await condition())
        {
            await Task.Delay(20, deadline.Token);
        }
    }
}
