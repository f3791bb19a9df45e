using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Fuse;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Native;
using Starlight.Infrastructure.Objects;

namespace Starlight.Infrastructure.Mounts;

/// <summary>
/// The tries behind <see cref="MountCapabilities.Probe"/>. What they leave mounted, the caller detaches.
/// <code>
/// &lt;scratch&gt;/probe.erofs  erofs-*/  objects/  tree/  inner-*/  root-*/  upper-*/  work-*/  gate/
/// </code>
/// </summary>
internal sealed class MountProbe(string directory, ReadOnlyMemory<byte> erofsImage, MountPreferences preferences)
{
    private readonly List<MountFinding> _findings = [];
    private int _tries;

    public MountCapabilities Run()
    {
        using var store = new ObjectStore(Path.Combine(directory, "objects"));
        store.Put(MountCapabilities.ProbeDigest, MountCapabilities.ProbeContent);
        (MountMode mode, OverlayLayers? layers, ErofsBacking? erofs) = FindDataLayers(store);
        if (layers is null)
        {
            if (preferences.Mode is not (null or MountMode.DirectoryTree))
            {
                throw new FailureException(MountErrors.ModeUnsupported($"this kernel cannot do mount_mode {MountPreferences.NameOf(preferences.Mode.Value)}", _findings));
            }

            if (!Try("writable overlay over a directory", TryTree))
            {
                throw new FailureException(MountErrors.ModeUnsupported($"overlayfs does not work in {Path.GetDirectoryName(directory)}", _findings));
            }
        }

        bool seesOpens = layers is not null && Try("opens in an inner overlay are told (fanotify)", () => TryWatch(layers));
        return new MountCapabilities(mode, erofs, FindEarlyStart(mode, layers, store), _findings) { SeesOpens = seesOpens };
    }

    /// <summary>The best mode of overlays that works or is demanded, or directory trees.</summary>
    private (MountMode Mode, OverlayLayers? Layers, ErofsBacking? Erofs) FindDataLayers(ObjectStore store)
    {
        const string Single = "writable overlay over data-only layers";
        const string Nested = "writable overlay over a read-only metacopy overlay";
        if (preferences.Mode == MountMode.DirectoryTree)
        {
            _findings.Add(new MountFinding("overlays with data-only layers", "not used, because mount_mode is directory-tree"));
            return (MountMode.DirectoryTree, null, null);
        }

        string image = Path.Combine(directory, "probe.erofs");
        File.WriteAllBytes(image, erofsImage.Span);

        // Nested overlays may work on a loop device where they do not on a file: some kernels count a file-backed EROFS as a level of stacking.
        foreach (ErofsBacking backing in (ReadOnlySpan<ErofsBacking>)[ErofsBacking.File, ErofsBacking.Loop])
        {
            (string what, string word) = backing == ErofsBacking.File ? ("EROFS image mounted from its file", "file") : ("EROFS image mounted through a loop device", "loop");
            string mountPoint = Sub("erofs-" + word);
            if (preferences.Erofs is { } demanded && demanded != backing)
            {
                if (backing == ErofsBacking.File)
                {
                    _findings.Add(new MountFinding(what, "not used, because erofs is loop"));
                }

                continue;
            }

            if (!Try(what, () => ErofsMounts.Mount(image, mountPoint, backing)))
            {
                if (preferences.Erofs is not null)
                {
                    throw new FailureException(MountErrors.ModeUnsupported($"this kernel cannot do erofs {word}", _findings));
                }

                continue;
            }

            OverlayLayers layers = new(mountPoint, store.Root);
            if (preferences.Mode == MountMode.NestedOverlay)
            {
                _findings.Add(new MountFinding(Single, "not used, because mount_mode is nested-overlay"));
            }
            else if (Try(Single, () => CheckCopyUp(MountRoot(layers, MountMode.SingleOverlay))))
            {
                return (MountMode.SingleOverlay, layers, backing);
            }

            if (preferences.Mode != MountMode.SingleOverlay && Try(Nested, () => CheckCopyUp(MountRoot(layers, MountMode.NestedOverlay))))
            {
                return (MountMode.NestedOverlay, layers, backing);
            }
        }

        return (MountMode.DirectoryTree, null, null);
    }

    private bool FindEarlyStart(MountMode mode, OverlayLayers? layers, ObjectStore store)
    {
        const string Gate = "arrival gate (FUSE) releases an open";
        if (preferences.EarlyStart == false)
        {
            _findings.Add(new MountFinding(Gate, "not used, because early_start is off"));
            return false;
        }

        if (layers is not null && Try(Gate, () => TryGate(layers, store, mode)))
        {
            return true;
        }

        return preferences.EarlyStart is null
            ? false
            : throw new FailureException(MountErrors.ModeUnsupported($"early_start is on, and containers cannot start early in mount mode {MountPreferences.NameOf(mode)} here", _findings));
    }

    private bool Try(string what, Action attempt)
    {
        string? problem = null;
        try
        {
            attempt();
        }
        catch (FailureException e) when (e.Error.Code != "Mount.NotPermitted") // not this kernel's fault: whoever starts us has to be told
        {
            problem = e.Error.Message;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = e.Message;
        }

        _findings.Add(new MountFinding(what, problem is null ? null : $"does not work ({problem})"));
        return problem is null;
    }

    private void TryTree()
    {
        string tree = Sub("tree");
        File.WriteAllBytes(Path.Combine(tree, MountCapabilities.ProbeFileName), MountCapabilities.ProbeContent);
        string number = NextNumber();
        string root = Sub("root-" + number);
        string upper = Sub("upper-" + number);
        OverlayMounts.Mount(new MountRecord("overlay", "overlay", [$"lowerdir={tree}", $"upperdir={upper}", $"workdir={Sub("work-" + number)}"]), root);
        CheckCopyUp((root, upper));
    }

    private void TryWatch(OverlayLayers layers)
    {
        List<ulong> opened = [];
        Exception? failure = null;
        (string root, string upper, string inner) = (Sub("root-watched"), Sub("upper-watched"), Sub("inner-watched"));
        OverlayMounts.Mount(layers.Watched, inner);
        MountRecord outer = layers.Writable(MountMode.NestedOverlay, upper, Sub("work-watched"), inner);
        OverlayMounts.Mount(outer with { Options = [RootFilesystemLayers.WatchedOption, .. outer.Options] }, root);
        using (OpenWatch.Start(
            inner,
            inode =>
            {
                opened.Add(inode);
                return true;
            },
            e => failure = e))
        {
            CheckCopyUp((root, upper));
        }

        CheckLink(Path.Combine(root, MountCapabilities.ProbeFileName));
        int error = FileStatus.Read(Path.Combine(layers.Erofs, MountCapabilities.ProbeFileName), out FileStatus status);
        if (error != 0 || !opened.Contains(status.Inode))
        {
            throw new IOException(failure?.Message ?? (opened.Count == 0 ? "an open was not told" : "an open was told of another inode"), failure);
        }
    }

    private void TryGate(OverlayLayers layers, ObjectStore store, MountMode mode)
    {
        var board = new ArrivalBoard(store);
        store.Delete(MountCapabilities.ProbeDigest);
        board.Expect([MountCapabilities.ProbeDigest]);
        board.Wanted = content => ThreadPool.UnsafeQueueUserWorkItem(
            _ =>
            {
                store.Put(content, MountCapabilities.ProbeContent);
                board.Arrived(content);
            },
            state: null);
        using ArrivalGate gate = ArrivalGate.Mount(board, Sub("gate"), NullLogger<ArrivalGate>.Instance);
        using GateDirectory container = gate.CreateDirectory("probe");
        string file = Path.Combine(MountRoot(layers with { Gate = container.Path, Tail = gate.TailPath }, mode).Root, MountCapabilities.ProbeFileName);
        Demand(File.ReadAllBytes(file), file);
    }

    /// <summary>A container's writable root, as the library and containerd would mount it.</summary>
    private (string Root, string Upper) MountRoot(OverlayLayers layers, MountMode mode)
    {
        string number = NextNumber();
        string root = Sub("root-" + number);
        string upper = Sub("upper-" + number);
        string? inner = null;
        if (layers.Inner(mode) is { } record)
        {
            inner = Sub("inner-" + number);
            OverlayMounts.Mount(record, inner);
        }

        OverlayMounts.Mount(layers.Writable(mode, upper, Sub("work-" + number), inner), root);
        return (root, upper);
    }

    /// <summary>Reads the file through the overlay, then copies it up by changing its time and demands that the upper layer has all of it.</summary>
    private static void CheckCopyUp((string Root, string Upper) mounted)
    {
        string file = Path.Combine(mounted.Root, MountCapabilities.ProbeFileName);
        Demand(File.ReadAllBytes(file), file);
        File.SetLastWriteTimeUtc(file, DateTime.UnixEpoch);
        string copy = Path.Combine(mounted.Upper, MountCapabilities.ProbeFileName);
        Demand(File.ReadAllBytes(copy), copy);
    }

    /// <summary>A file that was copied up is the same file by its new name.</summary>
    private static void CheckLink(string file)
    {
        string link = file + "-link";
        MountSyscalls.Link(file, link);
        if (FileStatus.Read(file, out FileStatus one) != 0 || FileStatus.Read(link, out FileStatus other) != 0 || (one.Device, one.Inode) != (other.Device, other.Inode))
        {
            throw new IOException("a hard link to a file of the image is another file");
        }
    }

    private static void Demand(ReadOnlySpan<byte> read, string file)
    {
        if (!read.SequenceEqual(MountCapabilities.ProbeContent))
        {
            throw new IOException($"{file} has {read.Length} other bytes than its object");
        }
    }

    private string NextNumber() => (++_tries).ToString(System.Globalization.CultureInfo.InvariantCulture);

    private string Sub(string name) => Directory.CreateDirectory(Path.Combine(directory, name)).FullName;
}
