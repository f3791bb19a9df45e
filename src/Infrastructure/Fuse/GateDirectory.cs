using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Fuse;

/// <summary>How the gate answered the first open of a content.</summary>
public enum GateOutcome
{
    /// <summary>It was in the store.</summary>
    Present,

    /// <summary>It arrived while the opener waited.</summary>
    Arrived,

    /// <summary>It cannot be had, or the gate was closed; the opener gets EIO.</summary>
    Failed,

    /// <summary>The opener was killed.</summary>
    Interrupted,
}

/// <summary>One answered lookup: the first open of a content through one container's mount since its inode came into the kernel's cache.</summary>
/// <param name="Content">The content's digest.</param>
/// <param name="Waited">Zero if it was there.</param>
/// <param name="Outcome">How it was answered.</param>
public readonly record struct GateLookup(Digest Content, TimeSpan Waited, GateOutcome Outcome);

/// <summary>
/// The gate of one container mount: a sub-directory of the gate's FUSE mount, to be used as a data-only layer before the object store. Removed by
/// <see cref="Dispose"/>: who waits in it is released with EIO, and what has arrived goes on working in the mount that uses it.
/// </summary>
public sealed class GateDirectory : IDisposable
{
    private readonly ArrivalGate _gate;

    internal GateDirectory(ArrivalGate gate, uint number, string name, string path, Action<GateLookup>? onLookup)
    {
        _gate = gate;
        Number = number;
        Name = name;
        Path = path;
        OnLookup = onLookup;
    }

    /// <summary>File name within the gate.</summary>
    public string Name { get; }

    /// <summary>Absolute path, as overlay options name it.</summary>
    public string Path { get; }

    /// <summary>The directory number within node ids.</summary>
    internal uint Number { get; }

    /// <summary>Called after each answer, on the thread that gave it.</summary>
    internal Action<GateLookup>? OnLookup { get; }

    /// <summary>
    /// Has the kernel learn all fan-out directories in a few requests: otherwise it asks for each when the first content in it is opened, which for a start-up of some hundred files is nearly as
    /// many questions again. To be called when the directory is new. Does its best.
    /// </summary>
    public void Fill()
    {
        try
        {
            foreach (string _ in Directory.EnumerateDirectories(Path))
            {
                // the kernel has seen it
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // the gate is going away; whoever opens something is told
        }
    }

    public void Dispose() => _gate.Remove(this);
}
