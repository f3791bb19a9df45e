using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Starlight.Infrastructure.Fuse.Native;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects;

namespace Starlight.Infrastructure.Fuse;

/// <summary>
/// The gate's side of the FUSE protocol without the device: request bytes in, reply bytes out (go-fuse separates its server the same way). The
/// tree it shows:
/// <code>
/// /                   root
/// /.tail              every lookup in it fails with EIO
/// /&lt;container&gt;        one per <see cref="GateDirectory"/>
/// /&lt;container&gt;/ab     all 256, synthetic
/// /&lt;container&gt;/ab/cd… never there: a lookup waits for the object, then says ENOENT
/// </code>
/// Thread-safe. Never throws: whatever goes wrong in a request is logged once and answered EIO.
/// </summary>
internal sealed partial class GateProtocol(
    ArrivalBoard board, IGatePort port, ILogger logger, TimeProvider? time = null, Func<int, bool>? isDying = null)
{
    /// <summary>Name of the tail directory; a container's cannot begin with a dot.</summary>
    public const string TailName = ".tail";

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Func<int, bool> _isDying = isDying ?? ProcessSignals.IsDying;
    private readonly ConcurrentDictionary<string, GateDirectory> _byName = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<uint, GateDirectory> _byNumber = [];
    private readonly TaskCompletionSource<uint> _initialised = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with the protocol minor once the kernel's INIT was answered.</summary>
    public Task<uint> Initialised => _initialised.Task;

    /// <summary>Makes a directory visible. False if the name is taken.</summary>
    public bool TryAdd(GateDirectory directory)
    {
        if (!_byName.TryAdd(directory.Name, directory))
        {
            return false;
        }

        _byNumber[directory.Number] = directory;
        return true;
    }

    /// <summary>Removes a directory and releases who waits in it with EIO. False if it was removed before.</summary>
    public bool Remove(GateDirectory directory)
    {
        if (!_byNumber.TryRemove(directory.Number, out _))
        {
            return false;
        }

        _byName.TryRemove(directory.Name, out _);
        FailParked(directory);
        return true;
    }

    /// <summary>Answers one request. Gives the length of the reply in <paramref name="reply"/>, or 0 if there is none (now).</summary>
    public int Handle(ReadOnlySpan<byte> bytes, Span<byte> reply)
    {
        FuseRequest request = default;
        try
        {
            request = FuseRequest.Parse(bytes);
            return Dispatch(request, reply);
        }
        catch (Exception e) // the boundary of style rule 18: the session must survive any bug of ours
        {
            logger.RequestFailed(request.Opcode, request.NodeId, e);
            return ExpectsReply(request.Opcode) ? FuseReply.Error(reply, request.Unique, Errno.EIO) : 0;
        }
    }

    private int Dispatch(in FuseRequest request, Span<byte> reply)
    {
        switch (request.Opcode)
        {
            case FuseOpcode.FUSE_INIT:
                return Initialise(request, reply);
            case FuseOpcode.FUSE_LOOKUP:
                return Lookup(request, reply);
            case FuseOpcode.FUSE_INTERRUPT:
                return Interrupt(request, reply);
            case FuseOpcode.FUSE_FORGET or FuseOpcode.FUSE_BATCH_FORGET:
                return 0; // node ids hold no state, and the kernel waits for no answer
            case FuseOpcode.FUSE_GETATTR:
                return IsLive(GateNode.Of(request.NodeId))
                    ? FuseReply.DirectoryAttributes(reply, request.Unique, request.NodeId)
                    : FuseReply.Error(reply, request.Unique, Errno.ENOENT);
            case FuseOpcode.FUSE_OPENDIR:
                return FuseReply.Opened(reply, request.Unique);
            case FuseOpcode.FUSE_READDIRPLUS:
                return List(request, reply);
            case FuseOpcode.FUSE_READDIR: // a kernel without FUSE_DO_READDIRPLUS: no entries, names are answered when asked for
            case FuseOpcode.FUSE_RELEASEDIR:
            case FuseOpcode.FUSE_ACCESS:
            case FuseOpcode.FUSE_RELEASE:
            case FuseOpcode.FUSE_DESTROY:
                return FuseReply.Empty(reply, request.Unique);
            case FuseOpcode.FUSE_STATFS:
                return FuseReply.FileSystemStatus(reply, request.Unique);
            case FuseOpcode.FUSE_OPEN:
                return FuseReply.Error(reply, request.Unique, Errno.EIO); // there are no files here
            default: // GETXATTR and LISTXATTR among them: ENOSYS once, and the kernel never asks again
                return FuseReply.Error(reply, request.Unique, Errno.ENOSYS);
        }
    }

    /// <summary><c>major u32, minor u32, max_readahead u32, flags u32, flags2 u32 (7.36), …</c>. linux/fuse.h, fuse_init_in.</summary>
    private int Initialise(in FuseRequest request, Span<byte> reply)
    {
        uint major = request.UInt32At(0);
        uint minor = request.UInt32At(4);
        if (major > FuseAbi.KernelVersion)
        {
            return FuseReply.OnlyMajor(reply, request.Unique);
        }

        if (major < FuseAbi.KernelVersion || minor < FuseAbi.OldestMinorVersion)
        {
            _initialised.TrySetException(new FuseFormatException($"the kernel speaks FUSE {major}.{minor}, older than 7.{FuseAbi.OldestMinorVersion}"));
            return FuseReply.Error(reply, request.Unique, Errno.EPROTO);
        }

        uint offered = request.UInt32At(12);
        uint offered2 = (offered & FuseAbi.FUSE_INIT_EXT) != 0 ? request.UInt32At(16) : 0;
        uint flags = offered & (FuseAbi.FUSE_PARALLEL_DIROPS | FuseAbi.FUSE_DO_READDIRPLUS | FuseAbi.FUSE_INIT_EXT);
        uint flags2 = offered2 & FuseAbi.FUSE_HAS_RESEND_FLAGS2;
        uint agreed = Math.Min(minor, FuseAbi.MinorVersion);
        _initialised.TrySetResult(agreed);
        return FuseReply.Initialised(reply, request.Unique, agreed, flags, flags2);
    }

    private bool IsLive(GateNode node) => node.Kind switch
    {
        GateNodeKind.Root or GateNodeKind.Tail => true,
        GateNodeKind.Directory or GateNodeKind.Fanout => _byNumber.ContainsKey(node.Directory),
        _ => false,
    };

    private static bool ExpectsReply(FuseOpcode opcode) =>
        opcode is not (0 or FuseOpcode.FUSE_FORGET or FuseOpcode.FUSE_BATCH_FORGET or FuseOpcode.FUSE_INTERRUPT);
}
