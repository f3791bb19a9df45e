using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Fuse.Native;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects;

namespace Starlight.Infrastructure.Fuse;

/// <summary>
/// LOOKUP and what it parks. The answer to an object's name is never "yes": overlayfs takes ENOENT as "try the next data layer", and the next is
/// the object store.
/// </summary>
/// <remarks>
/// The kernel lets only one thread at a time look up one name in one directory; others wait for it in d_alloc_parallel, deaf to SIGKILL. Two files
/// of a container with equal content have the same name here. So once a lookup is parked, the kernel is told to forget the fan-out directory it is in,
/// and the next opener is given another incarnation of that directory (another node id), where its name is not being looked up.
/// </remarks>
internal sealed partial class GateProtocol
{
    private readonly Lock _parkedLock = new();
    private readonly Dictionary<ulong, ParkedLookup> _parked = []; // by unique without the resend bit; under _parkedLock
    private readonly List<ParkedLookup> _interrupted = []; // of _parked those with a signal; under _parkedLock
    private bool _closed; // under _parkedLock
    private uint _incarnation;

    /// <summary>How many lookups wait.</summary>
    public int ParkedCount
    {
        get
        {
            lock (_parkedLock)
            {
                return _parked.Count;
            }
        }
    }

    /// <summary>How many of them have had a signal that does not end them, or not yet.</summary>
    public int InterruptCount
    {
        get
        {
            lock (_parkedLock)
            {
                return _interrupted.Count;
            }
        }
    }

    /// <summary>Answers everything parked with EIO, and from now on every lookup that would wait.</summary>
    public void Close()
    {
        lock (_parkedLock)
        {
            _closed = true;
        }

        FailParked(directory: null);
    }

    /// <summary>Looks again at the waiters that have had a signal and lets the dying ones go. True while there are some to watch.</summary>
    public bool SweepInterrupted()
    {
        ParkedLookup[] suspects;
        lock (_parkedLock)
        {
            _interrupted.RemoveAll(parked => _parked.GetValueOrDefault(parked.Unique & ~FuseAbi.UniqueResend) != parked);
            suspects = [.. _interrupted];
        }

        foreach (ParkedLookup parked in suspects)
        {
            if (_isDying(parked.Pid) && board.Cancel(parked))
            {
                Complete(parked, Errno.EINTR, GateOutcome.Interrupted, _time.GetElapsedTime(parked.ParkedAt));
            }
        }

        return suspects.Length > 0;
    }

    internal void Released(ParkedLookup parked, Error? failure, TimeSpan waited)
    {
        if (failure is not null)
        {
            logger.ContentUnavailable(parked.Content, parked.Directory.Name, failure.Message);
        }

        Complete(parked, failure is null ? Errno.ENOENT : Errno.EIO, failure is null ? GateOutcome.Arrived : GateOutcome.Failed, waited);
    }

    private int Lookup(in FuseRequest request, Span<byte> reply)
    {
        ReadOnlySpan<byte> name = request.Name;
        GateNode parent = GateNode.Of(request.NodeId);
        switch (parent.Kind)
        {
            case GateNodeKind.Root when name.SequenceEqual(".tail"u8):
                return FuseReply.DirectoryEntry(reply, request.Unique, GateNode.TailId, mayCacheName: true);

            case GateNodeKind.Root when _byName.TryGetValue(Encoding.UTF8.GetString(name), out GateDirectory? directory):
                return FuseReply.DirectoryEntry(reply, request.Unique, GateNode.DirectoryId(directory.Number), mayCacheName: false);

            case GateNodeKind.Directory when ObjectPath.TryParseFanout(name, out byte fanout) && _byNumber.ContainsKey(parent.Directory):
                return FuseReply.DirectoryEntry(reply, request.Unique, NewIncarnation(parent.Directory, fanout), mayCacheName: true);

            case GateNodeKind.Fanout when ObjectPath.TryParse(parent.Fanout, name, out Digest content):
                return LookupContent(request, parent, content, reply);

            case GateNodeKind.Tail:
                return FuseReply.Error(reply, request.Unique, Errno.EIO);

            default:
                return FuseReply.Error(reply, request.Unique, Errno.ENOENT);
        }
    }

    /// <summary>
    /// <c>fh u64, offset u64, size u32, …</c>: a container's directory lists all its fan-out directories, and the kernel remembers them as if each had been looked up. Nothing else lists anything.
    /// </summary>
    private int List(in FuseRequest request, Span<byte> reply)
    {
        GateNode node = GateNode.Of(request.NodeId);
        int count = 0;
        if (node.Kind == GateNodeKind.Directory && _byNumber.ContainsKey(node.Directory) && request.UInt64At(8) is <= ObjectPath.FanoutCount and ulong first)
        {
            count = Math.Min(FuseReply.ListingCapacity(reply, request.UInt32At(16)), ObjectPath.FanoutCount - (int)first);
            Span<byte> name = stackalloc byte[ObjectPath.FanoutDigits];
            for (int i = 0; i < count; i++)
            {
                byte fanout = (byte)((int)first + i);
                Convert.TryToHexStringLower([fanout], name, out _);
                FuseReply.ListedDirectory(reply, i, NewIncarnation(node.Directory, fanout), first + (ulong)i + 1, name);
            }
        }

        return FuseReply.Listing(reply, request.Unique, count);
    }

    private ulong NewIncarnation(uint directory, byte fanout) => GateNode.FanoutId(directory, Interlocked.Increment(ref _incarnation), fanout);

    private int LookupContent(in FuseRequest request, GateNode parent, Digest content, Span<byte> reply)
    {
        // 1. A mount can outlive its gate directory: then arrived contents still work and others fail.
        if (!_byNumber.TryGetValue(parent.Directory, out GateDirectory? directory))
        {
            return FuseReply.Error(reply, request.Unique, Errno.ENOENT);
        }

        // 2. The usual case: nothing to park. Allocates nothing.
        if (board.StateOf(content) == ArrivalState.Present)
        {
            Report(directory, new GateLookup(content, TimeSpan.Zero, GateOutcome.Present));
            return FuseReply.Error(reply, request.Unique, Errno.ENOENT);
        }

        // 3. Park first, ask the board then: its answer may come on another thread at once, and so may an INTERRUPT.
        var parked = new ParkedLookup(this, request.Unique, request.Pid, directory, _time.GetTimestamp());
        lock (_parkedLock)
        {
            _parked[parked.Unique & ~FuseAbi.UniqueResend] = parked;
        }

        ArrivalState state;
        try
        {
            state = board.Wait(content, parked);
        }
        catch
        {
            board.Cancel(parked);
            Unpark(parked);
            throw;
        }

        // 4. Answered at once.
        if (state != ArrivalState.Expected)
        {
            Unpark(parked);
            if (state == ArrivalState.Unavailable)
            {
                logger.ContentUnavailable(content, directory.Name, (board.FailureOf(content) ?? ObjectErrors.Unexpected(content)).Message);
            }

            bool here = state == ArrivalState.Present;
            Report(directory, new GateLookup(content, TimeSpan.Zero, here ? GateOutcome.Present : GateOutcome.Failed));
            return FuseReply.Error(reply, request.Unique, here ? Errno.ENOENT : Errno.EIO);
        }

        // 5. Waits. The directory or the whole gate may have been closed before it was parked.
        port.InvalidateFanout(GateNode.DirectoryId(parent.Directory), parent.Fanout);
        if ((IsClosed() || !_byNumber.ContainsKey(parent.Directory)) && board.Cancel(parked))
        {
            Complete(parked, Errno.EIO, GateOutcome.Failed, TimeSpan.Zero);
        }

        return 0;
    }

    /// <summary>
    /// <c>unique u64</c> of the interrupted request. It has no answer, except EAGAIN: "not seen yet, ask again", as another thread may just be about to
    /// park it. If it was answered meanwhile the kernel ignores that.
    /// </summary>
    private int Interrupt(in FuseRequest request, Span<byte> reply)
    {
        ulong unique = request.UInt64At(0) & ~FuseAbi.UniqueResend;
        lock (_parkedLock)
        {
            if (!_parked.TryGetValue(unique, out ParkedLookup? parked))
            {
                return FuseReply.Error(reply, request.Unique, Errno.EAGAIN);
            }

            _interrupted.Add(parked);
        }

        port.WatchInterrupts();
        return 0;
    }

    private void FailParked(GateDirectory? directory)
    {
        ParkedLookup[] victims;
        lock (_parkedLock)
        {
            victims = [.. _parked.Values.Where(parked => directory is null || parked.Directory == directory)];
        }

        foreach (ParkedLookup parked in victims)
        {
            if (board.Cancel(parked))
            {
                Complete(parked, Errno.EIO, GateOutcome.Failed, _time.GetElapsedTime(parked.ParkedAt));
            }
        }
    }

    /// <summary>Sends the one answer of a parked lookup. Only for whoever took it off the board.</summary>
    private void Complete(ParkedLookup parked, int errno, GateOutcome outcome, TimeSpan waited)
    {
        Unpark(parked);
        Span<byte> reply = stackalloc byte[FuseAbi.OutHeaderSize];
        port.Reply(reply[..FuseReply.Error(reply, parked.Unique, errno)]);
        Report(parked.Directory, new GateLookup(parked.Content, waited, outcome));
    }

    private void Unpark(ParkedLookup parked)
    {
        lock (_parkedLock)
        {
            _parked.Remove(parked.Unique & ~FuseAbi.UniqueResend);
        }
    }

    private bool IsClosed()
    {
        lock (_parkedLock)
        {
            return _closed;
        }
    }

    private void Report(GateDirectory directory, GateLookup lookup)
    {
        try
        {
            directory.OnLookup?.Invoke(lookup);
        }
        catch (Exception e) // a faulty trace must not fail an open
        {
            logger.HookFailed(directory.Name, e);
        }
    }
}
