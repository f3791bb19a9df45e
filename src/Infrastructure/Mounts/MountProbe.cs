using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Fuse;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects;

namespace Starlight.Infrastructure.Mounts;

/// <summary>
/// The tries behind <see cref="MountCapabilities.Probe"/>. What they leave mounted, the caller detaches.
/// <code>
/// &lt;scratch&gt;/probe.erofs  erofs/  objects/  inner/  root-*/  upper-*/  work-*/  gate/
/// </code>
/// </summary>
internal sealed class MountProbe(string directory, ReadOnlyMemory<byte> erofsImage)
{
    private readonly List<string> _reasons = [];

    private string Erofs => Sub("erofs");

    public MountCapabilities Run()
    {
        using var store = new ObjectStore(Path.Combine(directory, "objects"));
        store.Put(MountCapabilities.ProbeDigest, MountCapabilities.ProbeContent);

        // 1. EROFS: from the file, else through a loop device.
        string image = Path.Combine(directory, "probe.erofs");
        File.WriteAllBytes(image, erofsImage.Span);
        bool fromFile = Try("EROFS image mounted from its file", () => Check(ErofsMounts.TryMountFile(image, Erofs), "erofs", Erofs));
        bool fromLoop = !fromFile && Try("EROFS image mounted through a loop device", () => ErofsMounts.MountLoop(image, Erofs));

        // 2. Data-only layers below a writable overlay, else nested.
        var layers = new OverlayLayers(Erofs, store.Root);
        bool erofs = fromFile || fromLoop;
        bool writable = erofs && Try("writable overlay over data-only layers", () => TryWritable(layers, MountMode.SingleOverlay, inner: null));
        bool nested = erofs && Try("writable overlay over a read-only metacopy overlay", () => TryNested(layers));
        MountMode mode = writable ? MountMode.SingleOverlay : nested ? MountMode.NestedOverlay : MountMode.DirectoryTree;

        // 3. The gate, in the mode chosen.
        bool gate = mode != MountMode.DirectoryTree && Try("arrival gate (FUSE) releases an open", () => TryGate(layers, store, mode));
        return new MountCapabilities(mode, fromFile, fromLoop, writable, nested, gate, _reasons);
    }

    private bool Try(string what, Action attempt)
    {
        try
        {
            attempt();
            _reasons.Add($"{what}: works");
            return true;
        }
        catch (FailureException e) when (e.Error.Code != "Mount.NotPermitted") // not this kernel's fault: whoever starts us has to be told
        {
            _reasons.Add($"{what}: does not work: {e.Error.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _reasons.Add($"{what}: does not work: {e.Message}");
        }

        return false;
    }

    private void TryNested(OverlayLayers layers)
    {
        string inner = Sub("inner");
        Mount(layers.Inner(MountMode.NestedOverlay)!, inner);
        TryWritable(layers, MountMode.NestedOverlay, inner);
    }

    /// <summary>Reads the file through the overlay, then copies it up by a chmod and demands that the upper layer has all of it.</summary>
    private void TryWritable(OverlayLayers layers, MountMode mode, string? inner)
    {
        string root = Sub($"root-{mode}");
        string upper = Sub($"upper-{mode}");
        Mount(layers.Writable(mode, upper, Sub($"work-{mode}"), inner), root);
        string file = Path.Combine(root, MountCapabilities.ProbeFileName);
        Demand(File.ReadAllBytes(file), file);
        File.SetLastWriteTimeUtc(file, DateTime.UnixEpoch);
        string copy = Path.Combine(upper, MountCapabilities.ProbeFileName);
        Demand(File.ReadAllBytes(copy), copy);
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
        OverlayLayers gated = layers with { Gate = container.Path, Tail = gate.TailPath };
        string root = Sub("root-gate");
        if (mode == MountMode.NestedOverlay)
        {
            Mount(gated.Inner(mode)!, root);
        }
        else
        {
            Mount(gated.Writable(mode, Sub("upper-gate"), Sub("work-gate")), root);
        }

        string file = Path.Combine(root, MountCapabilities.ProbeFileName);
        Demand(File.ReadAllBytes(file), file);
    }

    private static void Mount(MountRecord record, string target)
    {
        string[] options = [.. record.Options.Where(option => option != "ro")];
        bool readOnly = options.Length != record.Options.Count;
        MountSyscalls.Mount(record.Source, target, record.Type, readOnly ? MountSyscalls.MS_RDONLY : 0, string.Join(',', options));
    }

    private static void Check(int errno, string type, string target)
    {
        if (errno != 0)
        {
            throw new FailureException(MountErrors.MountFailed(type, "the probe image", target, "", errno));
        }
    }

    private static void Demand(ReadOnlySpan<byte> read, string file)
    {
        if (!read.SequenceEqual(MountCapabilities.ProbeContent))
        {
            throw new IOException($"{file} has {read.Length} other bytes than its object");
        }
    }

    private string Sub(string name) => Directory.CreateDirectory(Path.Combine(directory, name)).FullName;
}
