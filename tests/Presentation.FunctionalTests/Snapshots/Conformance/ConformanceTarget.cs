using Starlight.Domain.SharedKernel;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Snapshots.Conformance;

/// <summary>One way to a snapshotter that the conformance tests put their questions to.</summary>
public abstract class ConformanceTarget : IAsyncDisposable
{
    /// <summary>Keeps containerd's garbage collector off what no image refers to. Every snapshot of these tests has it.</summary>
    public static readonly (string Key, string Value) Root = ("containerd.io/gc.root", "conformance");

    public abstract SnapshotsClient Snapshots { get; }

    /// <summary>For the tests' own files.</summary>
    public abstract string Work { get; }

    /// <summary>Directory that has one entry per snapshot with files of its own.</summary>
    public abstract string Directories { get; }

    /// <summary>Most layers that one mount of this target takes: 128, as containerd's own suite demands, unless there is a reason.</summary>
    public virtual int MostLayers => 128;

    /// <summary>Makes what a script leaves in an empty directory a committed snapshot without a parent.</summary>
    public virtual Task CommitLowestAsync(string name, string script) => Snapshots.CommitLayerAsync(name, "", script);

    /// <summary>Closes the snapshotter, closes it again, and opens it on the same state.</summary>
    public abstract Task CloseTwiceAndReopenAsync();

    /// <summary>Has whoever stands between take away what was removed.</summary>
    public virtual Task CollectAsync() => Task.CompletedTask;

    public abstract ValueTask DisposeAsync();
}

/// <summary>The snapshotter's own socket, ordinary layers only.</summary>
internal class OwnSocket(SnapshotterUnderTest snapshotter) : ConformanceTarget
{
    protected SnapshotterUnderTest Snapshotter => snapshotter;

    public override SnapshotsClient Snapshots { get; } = snapshotter.NewClient(Root);

    public override string Work => snapshotter.Work;

    public override string Directories => Path.Combine(snapshotter.Root, "snapshots");

    public override async Task CloseTwiceAndReopenAsync()
    {
        await snapshotter.StopAsync();
        await snapshotter.StopAsync();
        await snapshotter.RestartAsync();
    }

    public override ValueTask DisposeAsync() => snapshotter.DisposeAsync();
}

/// <summary>The snapshotter's own socket; every lowest layer is provided, as an EROFS image and objects.</summary>
internal sealed class ProvidedLowest(SnapshotterUnderTest snapshotter) : OwnSocket(snapshotter)
{
    private readonly List<ErofsTree> _trees = [];

    /// <summary>Mount options with data-only layers cannot be shortened by containerd and are a page at most (Application/Snapshots/MountPlan.cs).</summary>
    public override int MostLayers => 32;

    public override async Task CommitLowestAsync(string name, string script)
    {
        string directory = Directory.CreateDirectory(Path.Combine(Work, $"image-{_trees.Count}")).FullName;
        var tree = ErofsTree.Of(directory, script);
        _trees.Add(tree);
        Snapshotter.Images.Chains[name] = new(tree.MetadataDirectory, null, tree.ObjectsDirectory);
        await Snapshots.PrepareAsync($"{name}-extract", "", ("containerd.io/snapshot.ref", name)).ShouldFailAsync(ErrorKind.AlreadyExists);
    }

    public override async ValueTask DisposeAsync()
    {
        foreach (ErofsTree tree in _trees)
        {
            tree.Dispose();
        }

        await base.DisposeAsync();
    }
}
