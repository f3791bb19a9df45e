using System.Text;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Infrastructure.Fuse;

namespace Starlight.Infrastructure.Tracing;

/// <summary>
/// Writes down what one container opens. Called by the threads that answer the gate's lookups or watch a mount, so it does little: a set lookup, a line of text, and a write to the page cache now and then.
/// Safe for concurrent use.
/// </summary>
internal sealed class TraceRecorder(TraceHeader header, FileStream file, TimeProvider time)
{
    /// <summary>So many characters of lines are gathered before they are written, or what a second brings.</summary>
    private const int WriteLength = 16 << 10;

    private readonly Lock _lock = new();
    private readonly HashSet<Digest> _seen = []; // under _lock, like all below
    private readonly StringBuilder _unwritten = new();
    private long _mountedAt = time.GetTimestamp();
    private TimeSpan _waited;
    private Exception? _fault;
    private bool _hasHeader;
    private bool _ending;
    private bool _ended;
    private IDisposable? _source;

    public TraceHeader Header => header;

    /// <summary>How long ago the container was first mounted.</summary>
    public TimeSpan Age
    {
        get
        {
            lock (_lock)
            {
                return time.GetElapsedTime(_mountedAt);
            }
        }
    }

    public TraceSummary Summary
    {
        get
        {
            lock (_lock)
            {
                return new TraceSummary(header, _seen.Count, _waited);
            }
        }
    }

    /// <summary>Contents opened so far.</summary>
    public HashSet<Digest> Opened
    {
        get
        {
            lock (_lock)
            {
                return [.. _seen];
            }
        }
    }

    /// <summary>It is mounted (again): as long as nothing was opened, its start is now. A container may be started long after it was created.</summary>
    public void Mounted()
    {
        lock (_lock)
        {
            if (_seen.Count == 0)
            {
                _mountedAt = time.GetTimestamp();
            }
        }
    }

    /// <summary>What tells of opens by itself: disposed of before the trace ends, which is now if it has ended, or when another takes its place.</summary>
    /// <param name="source">Its disposal waits until everything has been told.</param>
    public void Own(IDisposable source)
    {
        IDisposable? done = source;
        lock (_lock)
        {
            if (!_ending)
            {
                (done, _source) = (_source, source);
            }
        }

        done?.Dispose();
    }

    /// <summary>Opens were missed: the trace is worth nothing.</summary>
    public void Fail(Exception fault)
    {
        lock (_lock)
        {
            _fault ??= fault;
        }
    }

    /// <summary>Something that is here was opened.</summary>
    /// <returns>Whether the trace takes more.</returns>
    public bool Record(Digest content)
    {
        Record(new GateLookup(content, TimeSpan.Zero, GateOutcome.Present));
        lock (_lock)
        {
            return !_ended && _seen.Count < Trace.MaxOpens;
        }
    }

    /// <summary>The gate has answered a lookup. What nobody got to open does not count.</summary>
    public void Record(GateLookup lookup)
    {
        if (lookup.Outcome is GateOutcome.Failed or GateOutcome.Interrupted)
        {
            return;
        }

        lock (_lock)
        {
            if (_ended || _seen.Count >= Trace.MaxOpens || !_seen.Add(lookup.Content))
            {
                return;
            }

            TimeSpan answered = time.GetElapsedTime(_mountedAt);
            _waited += lookup.Waited;
            TraceFile.AppendLine(_unwritten, new FirstOpen(lookup.Content, answered > lookup.Waited ? answered - lookup.Waited : TimeSpan.Zero, lookup.Waited));
            if (_unwritten.Length >= WriteLength)
            {
                Write();
            }
        }
    }

    /// <summary>What is known so far goes to the file: a killed daemon loses what came after.</summary>
    public void Flush()
    {
        lock (_lock)
        {
            if (!_ended)
            {
                Write();
            }
        }
    }

    /// <summary>Nothing is recorded any more. When this returns the trace is on disk.</summary>
    /// <returns>Why it is not; null if it is. Ending it again does nothing.</returns>
    public Exception? End()
    {
        IDisposable? source;
        lock (_lock)
        {
            _ending = true;
            (source, _source) = (_source, null);
        }

        // Outside the lock, which it needs for what it still has to tell.
        source?.Dispose();
        lock (_lock)
        {
            if (!_ended)
            {
                _ended = true;
                Write();
                try
                {
                    file.Flush(flushToDisk: true);
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    _fault ??= e;
                }

                file.Dispose();
            }

            return _fault;
        }
    }

    /// <summary>Under the lock. A full disk ends the trace, not the container.</summary>
    private void Write()
    {
        if (_fault is not null || (_unwritten.Length == 0 && _hasHeader))
        {
            return;
        }

        try
        {
            if (!_hasHeader)
            {
                file.Write(TraceFile.HeaderLine(header));
                _hasHeader = true;
            }

            file.Write(Encoding.ASCII.GetBytes(_unwritten.ToString()));
            _unwritten.Clear();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _fault = e;
        }
    }
}
