using Starlight.Domain.Content;
using Starlight.Domain.Snapshots;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>
/// A tree in use: the filesystem image on disk, its mount, and whether all its contents are here. Properties change under the library's lock only; reading
/// <see cref="Complete"/> and <see cref="Contents"/> without it is fine.
/// </summary>
internal sealed class WorkerTree(TreeRecord record, string directory)
{
    private volatile bool _complete = record.Complete;

    public Digest ChainId => Record.ChainId;

    public TreeRecord Record { get; } = record;

    /// <summary><c>images/&lt;hex of the chain ID&gt;</c></summary>
    public string Directory { get; } = directory;

    public string FilesystemImagePath => Path.Combine(Directory, "filesystem.erofs");

    public string MountPoint => Path.Combine(Directory, "mnt");

    /// <summary>Mount points of the inner overlays of the nested mode.</summary>
    public string InnerDirectory => Path.Combine(Directory, "inner");

    /// <summary>The ordinary directory tree, if it was ever built.</summary>
    public string UnpackedDirectory => Path.Combine(Directory, "tree");

    /// <summary>What the unpacked tree occupies; measured when first asked for, as it does not change.</summary>
    public SnapshotUsage? UnpackedUsage { get; set; }

    public bool Complete
    {
        get => _complete;
        set => _complete = value;
    }

    /// <summary>The reception that brings the missing contents; null when complete, or when none runs.</summary>
    public ImageReception? Reception { get; set; }

    /// <summary>The reception that was last begun for it, also after its end: one that is given up takes only its own trees back.</summary>
    public ImageReception? BroughtBy { get; set; }

    /// <summary>Ends when there is a reception again, while the daemon tries to take up an interrupted one; else null.</summary>
    public TaskCompletionSource? Resuming { get; set; }

    /// <summary>What the board was told to expect at start, because an earlier daemon was receiving it.</summary>
    public IReadOnlyList<Digest> Promised { get; set; } = [];

    /// <summary>Timestamp of the last pull of it or question about one of its layers.</summary>
    public long Touched { get; set; }

    /// <summary>Distinct contents, canonical order. Read from the filesystem image when first needed.</summary>
    public IReadOnlyList<ContentRef>? Contents { get; set; }
}
