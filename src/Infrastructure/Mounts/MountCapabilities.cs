using System.Globalization;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Mounts;

/// <summary>
/// What this kernel can mount, found by trying; versions are never trusted (distributions backport, and modules may be missing).
/// </summary>
/// <param name="Mode">The best mode that works.</param>
/// <param name="FileBackedErofs">EROFS images are mounted from files.</param>
/// <param name="LoopErofs">EROFS images need a loop device. False also if nothing was to be gained from one.</param>
/// <param name="WritableDataLayers">An overlay with data-only layers and an upper, without <c>metacopy=on</c>.</param>
/// <param name="NestedDataLayers">A read-only overlay with data-only layers and <c>metacopy=on</c>, and a writable one on top of it.</param>
/// <param name="Gate">FUSE works and an opener behind a gate is released: containers can start before their content is here.</param>
/// <param name="Reasons">One sentence for a person per finding, for the log.</param>
public sealed record MountCapabilities(
    MountMode Mode,
    bool FileBackedErofs,
    bool LoopErofs,
    bool WritableDataLayers,
    bool NestedDataLayers,
    bool Gate,
    IReadOnlyList<string> Reasons)
{
    /// <summary>Name of the one file in the probe image's root directory.</summary>
    public const string ProbeFileName = "probe";

    /// <summary>Its content: the image names it by a redirect to <see cref="ProbeDigest"/> and says that it has these many bytes.</summary>
    public static ReadOnlySpan<byte> ProbeContent => "starlight\n"u8;

    /// <summary>The digest of <see cref="ProbeContent"/>.</summary>
    public static Digest ProbeDigest { get; } = Digest.Of(ProbeContent);

    /// <summary>A machine under load takes a second; a hang must not keep the daemon from starting. Arbitrary.</summary>
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Tries everything below <paramref name="scratchDirectory"/>, which should be on the file system that will hold the containers' upper layers. All
    /// mounts are detached and all files removed, those of an earlier try that was killed too.
    /// </summary>
    /// <remarks>
    /// Not in a mount namespace of its own: threads that the runtime starts while a thread of ours is in one (its pool's, for example) stay in it for good, and the mounts
    /// they make later are seen by nobody.
    /// </remarks>
    /// <param name="scratchDirectory">Created if missing; nothing else may be kept in it.</param>
    /// <param name="erofsImage">
    /// A metadata-only image whose root has the regular file <see cref="ProbeFileName"/> with the size and redirect of <see cref="ProbeContent"/>.
    /// </param>
    /// <exception cref="FailureException"><c>Mount.NotPermitted</c>; <c>Mount.ProbeHung</c>.</exception>
    public static MountCapabilities Probe(string scratchDirectory, ReadOnlyMemory<byte> erofsImage)
    {
        RemoveTries(scratchDirectory);
        string directory = Path.Combine(Path.GetFullPath(scratchDirectory), string.Create(CultureInfo.InvariantCulture, $"probe-{Guid.NewGuid():N}"));
        Directory.CreateDirectory(directory);
        MountCapabilities? found = null;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                found = new MountProbe(directory, erofsImage).Run();
            }
            catch (Exception e) // carried to the caller's thread, below
            {
                failure = e;
            }
        })
        { IsBackground = true, Name = "mount probe" };
        thread.Start();
        if (!thread.Join(ProbeTimeout))
        {
            throw new FailureException(new Error(
                "Mount.ProbeHung",
                $"trying out mounts below {directory} took longer than {ProbeTimeout.TotalSeconds} s: look at the kernel log, then restart the daemon",
                ErrorKind.Unavailable));
        }

        RemoveTries(scratchDirectory);
        if (failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }

        return found!;
    }

    private static void RemoveTries(string scratchDirectory)
    {
        string scratch = Path.GetFullPath(scratchDirectory);
        foreach (MountTableEntry mount in MountTable.Read().Reverse().Where(m => m.MountPoint.StartsWith(scratch + "/probe-", StringComparison.Ordinal)))
        {
            ErofsMounts.Unmount(mount.MountPoint);
        }

        if (Directory.Exists(scratch))
        {
            Directory.Delete(scratch, recursive: true);
        }
    }
}
