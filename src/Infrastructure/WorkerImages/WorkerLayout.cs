namespace Starlight.Infrastructure.WorkerImages;

/// <summary>Where the worker keeps what (README, "Files").</summary>
/// <param name="Root"><c>fs_root</c>, default <c>/var/lib/starlight</c>.</param>
public sealed record WorkerLayout(string Root)
{
    /// <summary>Contents by sha256.</summary>
    public string ObjectsDirectory => Path.Combine(Root, "objects");

    /// <summary>One directory per tree: filesystem image and its mount point.</summary>
    public string ImagesDirectory => Path.Combine(Root, "images");

    public string ImagesDatabase => Path.Combine(Root, "images.db");

    /// <summary>There while no daemon runs and every object belongs to an image.</summary>
    public string SweptFile => Path.Combine(Root, "swept");

    /// <summary>Mount point of the arrival gate.</summary>
    public string GateDirectory => Path.Combine(Root, "gate");

    /// <summary>Where capabilities are tried at start.</summary>
    public string ScratchDirectory => Path.Combine(Root, "scratch");

    /// <summary>What containers were seen to open, and the optimizer's switch.</summary>
    public string TracesDirectory => Path.Combine(Root, "traces");

    /// <summary>Writable layers of containers.</summary>
    public string SnapshotsDirectory => Path.Combine(Root, "snapshots");
}
