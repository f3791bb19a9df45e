using System.Text;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts.Native;

namespace Starlight.Infrastructure.Mounts;

/// <summary>
/// The read-only layers of a container, and the overlay mounts made of them. Pure: touches nothing.
/// <code>
/// lowerdir=&lt;erofs&gt;::&lt;gate directory&gt;::&lt;objects&gt;::&lt;gate tail&gt;      "::" begins a data-only layer; asked left to right
/// lowerdir=&lt;erofs&gt;::&lt;objects&gt;                                   an image that is complete: nothing of Starlight is in the path
/// </code>
/// </summary>
/// <param name="Erofs">Where the filesystem image is mounted.</param>
/// <param name="Objects">The object store's directory.</param>
/// <param name="Gate">The container's gate directory, or null if all contents are here and no trace is wanted.</param>
/// <param name="Tail">The gate's tail directory; null exactly if <paramref name="Gate"/> is.</param>
public sealed record OverlayLayers(string Erofs, string Objects, string? Gate = null, string? Tail = null)
{
    /// <summary>
    /// <c>index=off</c>: the lower layers of one upper may change between mounts (the gate goes when the image is complete), which an index would refuse
    /// (ESTALE). <c>metacopy=off</c>: where a distribution turns it on by default, chmod would leave a stub instead of the file in the upper layer.
    /// </summary>
    private static readonly string[] WritableOptions = ["index=off", "metacopy=off"];

    /// <summary>The value of <c>lowerdir=</c>.</summary>
    /// <exception cref="FailureException"><c>Mount.PathUnusable</c>.</exception>
    public string LowerDir
    {
        get
        {
            if (Gate is null != Tail is null)
            {
                throw new ArgumentException("a gate and its tail are used together");
            }

            return Gate is null
                ? $"{Layer(Erofs)}::{Layer(Objects)}"
                : $"{Layer(Erofs)}::{Layer(Gate)}::{Layer(Objects)}::{Layer(Tail!)}";
        }
    }

    /// <summary>The mount that the daemon makes itself per container in <see cref="MountMode.NestedOverlay"/>, read-only; null in the other modes.</summary>
    public MountRecord? Inner(MountMode mode) =>
        mode == MountMode.NestedOverlay ? Overlay("ro", "metacopy=on", "lowerdir=" + LowerDir) : null;

    /// <summary>
    /// What is mounted below a container's overlay to be watched, read-only. <c>xino=off</c>: files have the inode numbers of the filesystem image, by which <see cref="OpenWatch"/> tells them.
    /// <c>nfs_export=on</c>, which wants <c>redirect_dir=nofollow</c> and no metacopy: the overlay above can name a file of this one by a handle. With <see cref="RootFilesystemLayers.WatchedOption"/> it then knows a file that was copied
    /// up as the one that it was; otherwise its inode number changes, and a hard link to it is another file (overlayfs.rst, "Inode properties").
    /// </summary>
    public MountRecord Watched => Overlay("ro", "redirect_dir=nofollow", "nfs_export=on", "xino=off", "lowerdir=" + LowerDir);

    /// <summary>A container's writable root.</summary>
    /// <param name="inner">Where <see cref="Inner"/> is mounted; only for <see cref="MountMode.NestedOverlay"/>.</param>
    /// <exception cref="FailureException"><c>Mount.PathUnusable</c>, <c>Mount.OptionsTooLong</c>, <c>Mount.NoDataLayers</c>.</exception>
    public MountRecord Writable(MountMode mode, string upper, string work, string? inner = null)
    {
        string[] layers = ["upperdir=" + Layer(upper), "workdir=" + Layer(work)];
        return mode switch
        {
            MountMode.SingleOverlay => Overlay([.. WritableOptions, "lowerdir=" + LowerDir, .. layers]),
            MountMode.NestedOverlay => Overlay([.. WritableOptions, "lowerdir=" + Layer(RequireInner(inner)), .. layers]),
            _ => throw new FailureException(MountErrors.NoOverlayInTreeMode),
        };
    }

    /// <summary>A read-only view of the image.</summary>
    /// <inheritdoc cref="Writable" path="/param[@name='inner']"/>
    /// <inheritdoc cref="Writable" path="/exception"/>
    public MountRecord ReadOnly(MountMode mode, string? inner = null) => mode switch
    {
        MountMode.SingleOverlay => Overlay("ro", "lowerdir=" + LowerDir),

        // Overlayfs refuses a single lower layer without an upper, and none is needed.
        MountMode.NestedOverlay => new MountRecord("bind", Layer(RequireInner(inner)), ["ro", "rbind"]),
        _ => throw new FailureException(MountErrors.NoOverlayInTreeMode),
    };

    private static string RequireInner(string? inner) => inner ?? throw new ArgumentNullException(nameof(inner), "the nested mode needs the inner mount");

    private static MountRecord Overlay(params string[] options)
    {
        var record = new MountRecord("overlay", "overlay", options);
        int bytes = Encoding.UTF8.GetByteCount(record.OptionText);
        return bytes <= MountSyscalls.MaxOptionBytes ? record : throw new FailureException(MountErrors.OptionsTooLong(bytes));
    }

    /// <summary>
    /// Refuses what would have to be escaped: overlayfs and every tool that carries the options (containerd, runc, mount) would have to undo it alike, and
    /// they do not.
    /// </summary>
    private static string Layer(string path) =>
        path.Length > 0 && path[0] == '/' && !path.AsSpan().ContainsAny(",:\\") && !path.AsSpan().ContainsAnyInRange('\0', '\x1F')
            ? path
            : throw new FailureException(MountErrors.PathUnusable(path));
}
