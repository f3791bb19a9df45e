using System.Globalization;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Mounts;

/// <summary>One thing that was tried, or left out on demand.</summary>
/// <param name="What">What it was.</param>
/// <param name="Problem">Null if it works; else what is wrong, beginning with a verb.</param>
public sealed record MountFinding(string What, string? Problem)
{
    public override string ToString() => $"{What}: {Problem ?? "works"}";
}

/// <summary>
/// How containers are mounted on this kernel, found by trying; versions are never trusted (distributions backport, and modules may be missing).
/// </summary>
/// <param name="Mode">The best mode that works, or the one demanded.</param>
/// <param name="Erofs">What carries filesystem images; null if none is mounted (<see cref="MountMode.DirectoryTree"/>).</param>
/// <param name="EarlyStart">An opener behind the gate is released: containers can start before their content is here.</param>
/// <param name="Findings">What was tried, in this order.</param>
public sealed record MountCapabilities(MountMode Mode, ErofsBacking? Erofs, bool EarlyStart, IReadOnlyList<MountFinding> Findings)
{
    /// <summary><see cref="OpenWatch"/> works: what a container opens can be seen without the gate.</summary>
    public bool SeesOpens { get; init; }

    /// <summary>Name of the one file in the probe image's root directory.</summary>
    public const string ProbeFileName = "probe";

    /// <summary>A machine under load takes a second; a hang must not keep the daemon from starting. Arbitrary.</summary>
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Its content: the image names it by a redirect to <see cref="ProbeDigest"/> and says that it has these many bytes.</summary>
    public static ReadOnlySpan<byte> ProbeContent => "starlight\n"u8;

    /// <summary>The digest of <see cref="ProbeContent"/>.</summary>
    public static Digest ProbeDigest { get; } = Digest.Of(ProbeContent);

    /// <summary>Why it is not a better mode, or why containers do not start early: one sentence for a person each. Empty where everything is at its best.</summary>
    public IReadOnlyList<string> Shortcomings => [.. Findings.Where(finding => finding.Problem is not null).Select(finding => finding.ToString())];

    /// <summary>The choice in one line.</summary>
    public string Description
    {
        get
        {
            string mode = Mode switch
            {
                MountMode.SingleOverlay => "single overlay with data-only layers",
                MountMode.NestedOverlay => "nested overlays",
                _ => "directory trees",
            };
            return mode
                + Erofs switch { ErofsBacking.File => ", EROFS from files", ErofsBacking.Loop => ", EROFS on loop devices", _ => "" }
                + (EarlyStart ? "" : ", no early start");
        }
    }

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
    /// <param name="preferences">What is demanded.</param>
    /// <exception cref="FailureException">
    /// <c>Mount.NotPermitted</c>; <c>Mount.ProbeHung</c>; Unsupported <c>Mount.ModeUnsupported</c> if a demand cannot be met, or overlayfs does not work at all.
    /// </exception>
    public static MountCapabilities Probe(string scratchDirectory, ReadOnlyMemory<byte> erofsImage, MountPreferences preferences)
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
                found = new MountProbe(directory, erofsImage, preferences).Run();
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
        MountTable.DetachBelow(scratch);
        if (Directory.Exists(scratch))
        {
            Directory.Delete(scratch, recursive: true);
        }
    }
}
