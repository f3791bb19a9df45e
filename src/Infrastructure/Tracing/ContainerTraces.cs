using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;

namespace Starlight.Infrastructure.Tracing;

/// <summary>The image of a container that may be traced.</summary>
/// <param name="Reference">Its name here.</param>
/// <param name="Manifest">Its manifest.</param>
/// <param name="ProxyProfile">Through which it was pulled.</param>
internal sealed record TracedImage(string Reference, Digest Manifest, string ProxyProfile);

/// <summary>
/// Traces containers through their gate directories, or an overlay that is watched (ADR 0029, 0033). A trace begins when a new container is attached and
/// <list type="bullet">
/// <item>the optimizer is on: it ends with <see cref="SwitchOff"/>;</item>
/// <item>or its snapshot has the label: it ends after <see cref="StartUp"/>, as nobody will say when;</item>
/// <item>or its image is still arriving, and reporting that is not switched off: it ends when the image is complete and the start-up is over. It is kept only if the order was to blame for a
/// wait (<see cref="Arrivals.WasOrderToBlame"/>).</item>
/// </list>
/// Each ends at the latest when the container is removed. Safe for concurrent use.
/// </summary>
public sealed partial class ContainerTraces : IContainerTraces, ITraceLog, IDisposable
{
    /// <summary>What is opened later is not start-up any more. Arbitrary; the slowest of applications are up by then.</summary>
    private static readonly TimeSpan StartUp = TimeSpan.FromMinutes(10);

    /// <summary>A container that waited for its image is watched for so long even if the image is complete before: most start-ups are over by then. Arbitrary.</summary>
    private static readonly TimeSpan ShortStartUp = TimeSpan.FromSeconds(30);

    /// <summary>What a killed daemon may lose of its traces.</summary>
    private static readonly TimeSpan FlushInterval = TimeSpan.FromSeconds(1);

    private readonly TraceDirectory _directory;
    private readonly bool _online;
    private readonly TimeProvider _time;
    private readonly ILogger<ContainerTraces> _logger;
    private readonly ITimer _timer;

    /// <summary>Guards all below. Held while files are renamed, not while they are synced.</summary>
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Wish> _wishes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Running> _running = new(StringComparer.Ordinal);

    /// <summary>Traces that have ended and are being synced.</summary>
    private readonly HashSet<Task> _ending = [];

    private readonly SemaphoreSlim _reportable = new(0);
    private OptimizerSwitch _switch;
    private long? _runStarted;

    /// <param name="directory">Where traces are kept; created if missing.</param>
    /// <param name="obstacle">Why nothing can be traced on this worker; null if it can.</param>
    /// <param name="online">Containers that start while their image arrives are traced without being asked for.</param>
    /// <param name="time">Clock of the traces.</param>
    /// <param name="logger">Says what is traced, and what cannot be.</param>
    public ContainerTraces(string directory, Error? obstacle, bool online, TimeProvider time, ILogger<ContainerTraces> logger)
    {
        _directory = new TraceDirectory(directory);
        _switch = _directory.LoadSwitch();
        (Obstacle, _online, _time, _logger) = (obstacle, online, time, logger);
        if (_directory.Finished.Any(t => t.Header.IsReportedByItself))
        {
            _reportable.Release();
        }

        _timer = time.CreateTimer(_ => Tick(), null, FlushInterval, FlushInterval);
    }

    public Error? Obstacle { get; }

    public OptimizerState State
    {
        get
        {
            WaitForEnding();
            lock (_lock)
            {
                return new OptimizerState(_switch.On, _switch.Group, [.. _running.Values.Select(r => r.Recorder.Summary).OrderBy(t => t.Header.StartedAt)], _directory.Finished);
            }
        }
    }

    public void SwitchOn(string? group)
    {
        lock (_lock)
        {
            OptimizerSwitch on = new(On: true, group, Guid.NewGuid());
            _directory.SaveSwitch(on);
            (_switch, _runStarted) = (on, null);
        }

        LogOn(group ?? "");
    }

    public IReadOnlyList<TraceSummary> SwitchOff()
    {
        string[] ending;
        lock (_lock)
        {
            OptimizerSwitch off = _switch with { On = false };
            _directory.SaveSwitch(off);
            _switch = off;
            _wishes.Clear();
            ending = [.. _running.Where(r => r.Value.Recorder.Header.Source == TraceSource.Optimizer).Select(r => r.Key)];
        }

        List<TraceSummary> ended = [];
        Exception? fault = null;
        foreach (string key in ending)
        {
            if (Take(key) is { } running)
            {
                fault = End(running, ended) ?? fault;
            }
        }

        WaitForEnding();
        LogOff(ended.Count);
        return fault is null ? ended : throw TraceDirectory.NotStored(fault);
    }

    public Trace? Read(Guid id) => _directory.Read(id, _time.GetUtcNow());

    public void Delete(Guid id)
    {
        lock (_lock)
        {
            _directory.Delete(id);
        }
    }

    public Task WaitForReportableAsync(CancellationToken cancellationToken) => _reportable.WaitAsync(cancellationToken);

    public void Created(string snapshotKey, IReadOnlyDictionary<string, string> labels)
    {
        if (labels.ContainsKey(SnapshotLabels.Reference))
        {
            return; // a layer that is being unpacked, no container
        }

        string? group = labels.GetValueOrDefault(SnapshotLabels.TraceGroup);
        if (group is not null && TraceGroup.CheckName(group) is { IsSuccess: false } refused)
        {
            LogGroupIgnored(snapshotKey, refused.Error.Message);
            group = null;
        }

        bool byLabel = labels.GetValueOrDefault(SnapshotLabels.Trace) is "on" or "true" or "1";
        lock (_lock)
        {
            if (byLabel && Obstacle is { } obstacle)
            {
                LogLabelIgnored(snapshotKey, obstacle.Message);
            }
            else if (Obstacle is null)
            {
                _wishes[snapshotKey] = byLabel ? new Wish(TraceSource.Label, group, RunOf(group))
                    : _switch.On ? new Wish(TraceSource.Optimizer, _switch.Group, _switch.Run)
                    : new Wish(TraceSource.Online, null, Guid.Empty);
            }
        }
    }

    public void Dispose()
    {
        _timer.Dispose();
        string[] running;
        lock (_lock)
        {
            running = [.. _running.Keys];
        }

        foreach (string key in running)
        {
            Detached(key);
        }

        WaitForEnding();
        _reportable.Dispose();
    }

    /// <summary>A snapshot is being attached: gives who is to be told of what is opened in it, or null if it is not traced.</summary>
    /// <param name="key">The snapshot's.</param>
    /// <param name="image">Its image; null if it stands on part of one.</param>
    /// <param name="arrivals">How its contents arrive; null if they are all here.</param>
    internal TraceRecorder? Attached(string key, TracedImage? image, Arrivals? arrivals)
    {
        lock (_lock)
        {
            if (_running.TryGetValue(key, out Running? running))
            {
                running.Recorder.Mounted();
                return running.Recorder;
            }

            if (!_wishes.Remove(key, out Wish? wish) || image is null || (wish.Source == TraceSource.Online && (!_online || arrivals is null)))
            {
                return null;
            }

            try
            {
                TraceHeader header = new(Guid.NewGuid(), image.Reference, image.Manifest, image.ProxyProfile, wish.Source, GroupOf(wish), _time.GetUtcNow());
                running = new Running(new TraceRecorder(header, _directory.Create(header.Id), _time), arrivals);
                _running.Add(key, running);
                LogTracing(key, image.Reference, wish.Source);
                return running.Recorder;
            }
            catch (FailureException e)
            {
                LogNotTraced(key, e.Message); // a full disk must not keep a container from starting
                return null;
            }
        }
    }

    /// <summary>The snapshot is gone. The file is synced in the background: others wait for the removal.</summary>
    internal void Detached(string key)
    {
        Running? running = Take(key);
        lock (_lock)
        {
            _wishes.Remove(key);
            if (running is not null)
            {
                Task ending = Task.Run(() => End(running, []));
                _ending.Add(ending);
                _ = ending.ContinueWith(Forget, TaskScheduler.Default);
            }
        }
    }

    /// <summary>Flushes, and ends what nobody else will end.</summary>
    internal void Tick()
    {
        KeyValuePair<string, Running>[] running;
        lock (_lock)
        {
            running = [.. _running];
        }

        foreach ((string key, Running each) in running)
        {
            each.Recorder.Flush();
            TimeSpan age = each.Recorder.Age;
            bool isOver = each.Recorder.Header.Source switch
            {
                TraceSource.Label => age >= StartUp,
                TraceSource.Online => age >= StartUp || (age >= ShortStartUp && each.Arrivals!.AreOver),
                _ => false,
            };
            if (isOver && Take(key) is { } ended)
            {
                _ = End(ended, []);
            }
        }
    }

    private Running? Take(string key)
    {
        lock (_lock)
        {
            return _running.Remove(key, out Running? running) ? running : null;
        }
    }

    private void Forget(Task ending)
    {
        lock (_lock)
        {
            _ending.Remove(ending);
        }
    }

    private void WaitForEnding()
    {
        Task[] ending;
        lock (_lock)
        {
            ending = [.. _ending];
        }

        Task.WaitAll(ending);
    }

    /// <returns>Why the trace is not on disk; null if it is, or if it is not wanted.</returns>
    private Exception? End(Running running, List<TraceSummary> ended)
    {
        Exception? fault = running.Recorder.End();
        TraceSummary summary = running.Recorder.Summary;
        bool isWanted = summary.Opens > 0 && (summary.Header.Source != TraceSource.Online || (summary.Waited > TimeSpan.Zero && running.Arrivals!.WasOrderToBlame(running.Recorder.Opened)));
        lock (_lock)
        {
            try
            {
                if (!isWanted || fault is not null)
                {
                    _directory.Discard(summary.Header.Id);
                    LogDropped(summary.Header.Reference, fault?.Message ?? "it has nothing to teach");
                    return fault;
                }

                _directory.Finish(summary);
            }
            catch (FailureException e)
            {
                LogDropped(summary.Header.Reference, e.Message);
                return e;
            }
        }

        ended.Add(summary);
        LogTraced(summary.Header.Reference, summary.Opens, (long)summary.Waited.TotalMilliseconds);
        if (summary.Header.IsReportedByItself)
        {
            _reportable.Release();
        }

        return null;
    }

    /// <summary>Under the lock. Containers with a label make a run of their group as long as one of them is being traced.</summary>
    private Guid RunOf(string? group) => group is null
        ? Guid.Empty
        : _running.Values.Select(r => r.Recorder.Header).FirstOrDefault(h => h.Source == TraceSource.Label && h.Group?.Name == group)?.Group?.Run ?? Guid.NewGuid();

    /// <summary>Under the lock.</summary>
    private TraceGroup? GroupOf(Wish wish)
    {
        if (wish.Group is null)
        {
            return null;
        }

        if (wish.Source == TraceSource.Label)
        {
            TraceRecorder? first = _running.Values.Select(r => r.Recorder).Where(r => r.Header.Group?.Run == wish.Run).MaxBy(r => r.Age);
            return new TraceGroup(wish.Group, wish.Run, first is null ? TimeSpan.Zero : first.Age + first.Header.Group!.Offset);
        }

        long now = _time.GetTimestamp();
        _runStarted ??= now;
        return new TraceGroup(wish.Group, wish.Run, _time.GetElapsedTime(_runStarted.Value, now));
    }

    private sealed record Wish(TraceSource Source, string? Group, Guid Run);

    private sealed record Running(TraceRecorder Recorder, Arrivals? Arrivals);

    [LoggerMessage(Level = LogLevel.Information, Message = "optimizer on: new containers are traced, group '{Group}'")]
    private partial void LogOn(string group);

    [LoggerMessage(Level = LogLevel.Information, Message = "optimizer off: {Count} traces finished")]
    private partial void LogOff(int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "snapshot {Key} asks for a trace, which is ignored: {Reason}")]
    private partial void LogLabelIgnored(string key, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "snapshot {Key} names a group, which is ignored: {Reason}")]
    private partial void LogGroupIgnored(string key, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "tracing snapshot {Key} of {Image} ({Source})")]
    private partial void LogTracing(string key, string image, TraceSource source);

    [LoggerMessage(Level = LogLevel.Warning, Message = "snapshot {Key} is not traced: {Reason}")]
    private partial void LogNotTraced(string key, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "trace of {Image} finished: {Opens} contents opened, {WaitedMs} ms waited")]
    private partial void LogTraced(string image, int opens, long waitedMs);

    [LoggerMessage(Level = LogLevel.Debug, Message = "trace of {Image} dropped: {Reason}")]
    private partial void LogDropped(string image, string reason);
}
