using Starlight.Application.Abstractions.Snapshots;
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
        await snapshotter.StopTwiceAsync();
        await snapshotter.RestartAsync();
    }

    public override ValueTask DisposeAsync() => snapshotter.DisposeAsync();
}

/// <summary>The snapshotter's own socket; every lowest layer is provided, as an EROFS image and objects.</summary>
internal sealed class ProvidedLowest(SnapshotterUnderTest snapshotter) : OwnSocket(snapshotter)
{
    private readonly List<ErofsTree> _trees = [];

    /// <summary>The image of each provided layer in one directory, as the library mounts it below many ordinary layers.</summary>
    private readonly Dictionary<string, Mounted> _whole = [];

    public override async Task CommitLowestAsync(string name, string script)
    {
        string directory = Directory.CreateDirectory(Path.Combine(Work, $"image-{_trees.Count}")).FullName;
        var tree = ErofsTree.Of(directory, script);
        _trees.Add(tree);
        Snapshotter.Images.OneDirectory = Whole;
        Snapshotter.Images.Chains[name] = new(tree.MetadataDirectory, null, tree.ObjectsDirectory);
        await Snapshots.PrepareAsync($"{name}-extract", "", ("containerd.io/snapshot.ref", name)).ShouldFailAsync(ErrorKind.AlreadyExists);
    }

    private string Whole(RootFilesystemLayers layers)
    {
        if (!_whole.TryGetValue(layers.MetadataDirectory, out Mounted? mounted))
        {
            mounted = Mounted.On(
                Path.Combine(Work, $"whole-{_whole.Count}"), (Type: "overlay", Source: "overlay", Options: ["ro", "metacopy=on", $"lowerdir={layers.MetadataDirectory}::{layers.ObjectsDirectory}"]));
            _whole.Add(layers.MetadataDirectory, mounted);
        }

        return mounted.Target;
    }

    public override async ValueTask DisposeAsync()
    {
        foreach (Mounted whole in _whole.Values)
        {
            whole.Dispose();
        }

        foreach (ErofsTree tree in _trees)
        {
            tree.Dispose();
        }

        await base.DisposeAsync();
    }
}
