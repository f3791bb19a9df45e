using System.Text.Json;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Tracing;

/// <summary>
/// The directory of traces: <c>ID.open</c> and <c>ID.trace</c> (see <see cref="TraceFile"/>) and the switch. What an earlier daemon was tracing is finished when it is opened: its
/// containers' gates went with that daemon. Not safe for concurrent use.
/// </summary>
internal sealed class TraceDirectory
{
    /// <summary>Nobody may ever report them. The oldest go first. Arbitrary; at most some hundreds of megabytes, usually a few.</summary>
    private const int MaxFinished = 1000;

    private readonly string _root;
    private readonly Dictionary<Guid, TraceSummary> _finished = [];

    public TraceDirectory(string root)
    {
        _root = root;
        Guarded(() =>
        {
            Directory.CreateDirectory(root);
            foreach (string left in Directory.EnumerateFiles(root, "*" + TraceFile.Growing))
            {
                File.Move(left, Path.ChangeExtension(left, TraceFile.Finished), overwrite: true);
            }

            foreach (string file in Directory.EnumerateFiles(root, "*" + TraceFile.Finished))
            {
                Take(file);
            }
        });
        Trim();
    }

    /// <summary>The oldest first.</summary>
    public IReadOnlyList<TraceSummary> Finished => [.. _finished.Values.OrderBy(t => t.Header.StartedAt).ThenBy(t => t.Header.Id)];

    public OptimizerSwitch LoadSwitch()
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(SwitchPath), TraceFileJson.Default.OptimizerSwitch) is { } state && (state.Group is null || (TraceGroup.CheckName(state.Group).IsSuccess && state.Run != Guid.Empty))
                ? state
                : Off;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return Off; // never switched, or nothing that can be understood
        }
    }

    public void SaveSwitch(OptimizerSwitch state) => Guarded(() =>
    {
        string temporary = SwitchPath + ".tmp";
        using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write))
        {
            JsonSerializer.Serialize(stream, state, TraceFileJson.Default.OptimizerSwitch);
            stream.Flush(flushToDisk: true);
        }

        File.Move(temporary, SwitchPath, overwrite: true);
    });

    /// <summary>Begins the file of a trace; <see cref="Finish"/> or <see cref="Discard"/> follows.</summary>
    public FileStream Create(Guid id) => Guarded(() => new FileStream(PathOf(id, TraceFile.Growing), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0));

    /// <summary>The trace is complete and its file closed.</summary>
    public void Finish(TraceSummary trace)
    {
        Guarded(() => File.Move(PathOf(trace.Header.Id, TraceFile.Growing), PathOf(trace.Header.Id, TraceFile.Finished), overwrite: true));
        _finished[trace.Header.Id] = trace;
        Trim();
    }

    public void Discard(Guid id) => Guarded(() => File.Delete(PathOf(id, TraceFile.Growing)));

    public Trace? Read(Guid id, DateTimeOffset now) => TraceFile.TryRead(PathOf(id, TraceFile.Finished)) is var (header, opens)
        && Trace.Create(header.Id, header.Image, header.Source, header.Group, header.StartedAt, opens, now) is { IsSuccess: true } trace
        ? trace.Value
        : null;

    public void Delete(Guid id)
    {
        Guarded(() => File.Delete(PathOf(id, TraceFile.Finished)));
        _finished.Remove(id);
    }

    private static OptimizerSwitch Off => new(On: false, Group: null, Guid.Empty);

    private string SwitchPath => Path.Combine(_root, "optimizer.json");

    private string PathOf(Guid id, string extension) => Path.Combine(_root, id.ToString("D") + extension);

    private void Take(string file)
    {
        (TraceHeader Header, IReadOnlyList<FirstOpen> Opens)? read;
        try
        {
            read = TraceFile.TryRead(file);
        }
        catch (FailureException)
        {
            return; // one bad sector keeps neither the daemon nor the other traces; it may be readable the next time
        }

        if (read is var (header, opens) && opens.Count > 0 && Path.GetFileNameWithoutExtension(file) == header.Id.ToString("D"))
        {
            _finished[header.Id] = new TraceSummary(header, opens.Count, TimeSpan.FromTicks(opens.Sum(o => o.Waited.Ticks)));
        }
        else
        {
            File.Delete(file);
        }
    }

    private void Trim()
    {
        foreach (TraceSummary old in Finished.Take(Math.Max(0, _finished.Count - MaxFinished)))
        {
            Delete(old.Header.Id);
        }
    }

    private static void Guarded(Action work) => Guarded(() =>
    {
        work();
        return true;
    });

    private static T Guarded<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw NotStored(e);
        }
    }

    public static FailureException NotStored(Exception cause) =>
        new(new Error("Trace.NotStored", $"traces cannot be written: {cause.Message}", ErrorKind.Unavailable), cause);
}
