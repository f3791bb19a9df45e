using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Fuse.Native;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects;

namespace Starlight.Infrastructure.Fuse;

/// <summary>
/// The mounted gate: a FUSE file system that serves no byte, but makes the first open of a content wait until it is in the object store (design page,
/// section 2; ADR 0005). One for the daemon, with one <see cref="GateDirectory"/> per container mount. Containers use it as
/// <code>lowerdir=&lt;erofs&gt;::&lt;gate directory&gt;::&lt;objects&gt;::&lt;tail&gt;</code>
/// </summary>
/// <remarks>The process must not open files below its own gate on a thread it needs for their arrival.</remarks>
public sealed class ArrivalGate : IDisposable
{
    private const string FileSystemType = "fuse.starlight";

    /// <summary>One thread can be busy with a slow hook while the other answers; more gain nothing, a lookup takes a few microseconds.</summary>
    private const int ReaderCount = 2;

    /// <summary>The kernel sends INIT within the mount call; this only guards against a kernel that never does. Arbitrary.</summary>
    private static readonly TimeSpan InitTimeout = TimeSpan.FromSeconds(10);

    private readonly FuseDevice _device;
    private readonly GateProtocol _protocol;
    private readonly GateChores _chores;
    private readonly ILogger _logger;
    private readonly Thread[] _readers;
    private bool _started; // set before the gate is handed out
    private uint _lastDirectory;
    private int _disposed;

    private ArrivalGate(FuseDevice device, ArrivalBoard board, string mountPoint, ILogger logger, TimeProvider? time)
    {
        _device = device;
        _logger = logger;
        MountPoint = mountPoint;
        var port = new DevicePort(this);
        _protocol = new GateProtocol(board, port, logger, time);
        _chores = new GateChores(port.SendInvalidation, _protocol.SweepInterrupted);
        _readers = new Thread[ReaderCount];
        for (int i = 0; i < ReaderCount; i++)
        {
            _readers[i] = new Thread(ReadRequests) { IsBackground = true, Name = $"gate reader {i}" };
        }
    }

    /// <summary>Where the gate is mounted; absolute.</summary>
    public string MountPoint { get; }

    /// <summary>
    /// The directory to put last in a container's lowerdir: whatever no layer before had fails there with EIO, and with ENOTCONN once the daemon is dead.
    /// Without it the opener would be told ENOENT, a lie (overlayfs reports only the last layer's error). The same for all containers.
    /// </summary>
    public string TailPath => Path.Combine(MountPoint, GateProtocol.TailName);

    /// <summary>How many opens wait now.</summary>
    public int WaitingCount => _protocol.ParkedCount;

    /// <summary>How many fan-out directories the kernel has been told to forget.</summary>
    internal int InvalidationsSent => _chores.InvalidationsSent;

    /// <summary>How many waiting opens have had a signal that they survive.</summary>
    internal int InterruptCount => _protocol.InterruptCount;

    /// <summary>
    /// Mounts the gate. The directory is created; a gate that a killed daemon left mounted there is detached first. The caller makes sure that no other
    /// live daemon uses the directory.
    /// </summary>
    /// <exception cref="FailureException"><c>Gate.FuseUnavailable</c>, <c>Mount.Failed</c>, <c>Mount.NotPermitted</c>.</exception>
    public static ArrivalGate Mount(ArrivalBoard board, string mountPoint, ILogger<ArrivalGate> logger, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(board);
        ArgumentNullException.ThrowIfNull(logger);
        string path = Path.GetFullPath(mountPoint);
        DetachLeftover(path, logger);
        Directory.CreateDirectory(path);
        var gate = new ArrivalGate(FuseDevice.Open(), board, path, logger, time);
        try
        {
            MountSyscalls.Mount(
                "starlight",
                path,
                FileSystemType,
                MountSyscalls.MS_RDONLY | MountSyscalls.MS_NOSUID | MountSyscalls.MS_NODEV,
                $"fd={gate._device.Descriptor},rootmode=40555,user_id=0,group_id=0,allow_other,default_permissions");
            gate.Start();
        }
        catch
        {
            gate.Dispose();
            throw;
        }

        return gate;
    }

    /// <summary>Adds a container's directory.</summary>
    /// <param name="name">A file name that does not begin with a dot; not in use.</param>
    /// <param name="onLookup">Called with each answer, on the thread that gives it; must be quick. For traces.</param>
    /// <exception cref="FailureException"><c>Gate.DirectoryExists</c>, <c>Gate.NameUnusable</c>.</exception>
    public GateDirectory CreateDirectory(string name, Action<GateLookup>? onLookup = null)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        if (string.IsNullOrEmpty(name) || name[0] == '.' || name.Length > 200 || name.AsSpan().ContainsAny("/\0,:\\"))
        {
            throw new FailureException(new Error(
                "Gate.NameUnusable", $"'{name}' cannot name a gate directory: use a file name without , : \\ that does not begin with a dot", ErrorKind.InvalidInput));
        }

        uint number = Interlocked.Increment(ref _lastDirectory);
        if (number > GateNode.MaxDirectory)
        {
            throw new FailureException(new Error(
                "Gate.Exhausted", "the gate has handed out all its directory numbers: restart the daemon", ErrorKind.ResourceExhausted));
        }

        var directory = new GateDirectory(this, number, name, Path.Combine(MountPoint, name), onLookup);
        return _protocol.TryAdd(directory)
            ? directory
            : throw new FailureException(new Error("Gate.DirectoryExists", $"the gate has a directory '{name}' already", ErrorKind.AlreadyExists));
    }

    /// <summary>
    /// Releases all waiters with EIO, unmounts and closes. Containers that still use the gate keep what has arrived; the rest fails with ENOTCONN.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        // 1. Nobody waits any more. 2. Nobody new finds the gate. 3. Chores before readers: a notification may wait for a reader. 4. The rest.
        _protocol.Close();
        if (MountTable.Find(MountPoint)?.FileSystemType == FileSystemType)
        {
            MountSyscalls.Detach(MountPoint);
        }

        _chores.Stop();
        _device.Stop();
        if (_started)
        {
            foreach (Thread reader in _readers)
            {
                reader.Join();
            }
        }

        _device.Dispose();
    }

    internal void Remove(GateDirectory directory) => _protocol.Remove(directory);

    /// <summary>Detaches a gate that a killed daemon left mounted.</summary>
    internal static void DetachLeftover(string mountPoint, ILogger<ArrivalGate> logger)
    {
        // The path itself is not touched: a dead gate answers ENOTCONN to everything.
        while (MountTable.Find(mountPoint)?.FileSystemType == FileSystemType && MountSyscalls.Detach(mountPoint))
        {
            logger.DetachedStaleMount(mountPoint);
        }
    }

    private void Start()
    {
        _started = true;
        _chores.Start();
        foreach (Thread reader in _readers)
        {
            reader.Start();
        }

        if (!_protocol.Initialised.Wait(InitTimeout))
        {
            throw new FailureException(new Error(
                "Gate.FuseUnavailable", $"the kernel did not begin a FUSE session at {MountPoint} within {InitTimeout.TotalSeconds} s", ErrorKind.Unsupported));
        }

        _logger.Mounted(MountPoint, _protocol.Initialised.Result);
    }

    private unsafe void ReadRequests()
    {
        byte* buffer = (byte*)NativeMemory.AlignedAlloc(FuseAbi.RequestBufferSize, sizeof(ulong));
        try
        {
            using FuseQueue queue = _device.CreateQueue();
            Span<byte> request = new(buffer, FuseAbi.RequestBufferSize);
            Span<byte> reply = stackalloc byte[FuseAbi.ReplyBufferSize];
            for (int length; (length = _device.Read(request, queue)) > 0;)
            {
                int replyLength = _protocol.Handle(request[..length], reply);
                if (replyLength > 0)
                {
                    Send(reply[..replyLength]);
                }
            }
        }
        catch (IOException e)
        {
            _logger.ReaderStopped(MountPoint, e.Message);
        }
        finally
        {
            NativeMemory.AlignedFree(buffer);
        }
    }

    private void Send(ReadOnlySpan<byte> message)
    {
        int errno = _device.Write(message);
        if (errno is not (0 or Errno.ENOENT or Errno.ENODEV or Errno.ENOTCONN)) // gone: the opener, the entry, the mount
        {
            _logger.ReplyRefused(Errno.Describe(errno));
        }
    }

    private sealed class DevicePort(ArrivalGate gate) : IGatePort
    {
        public void Reply(ReadOnlySpan<byte> reply) => gate.Send(reply);

        public void InvalidateFanout(ulong parent, byte fanout) => gate._chores.Invalidate(parent, fanout);

        public void WatchInterrupts() => gate._chores.WatchInterrupts();

        public void SendInvalidation(ulong parent, byte fanout)
        {
            Span<byte> name = stackalloc byte[ObjectPath.FanoutDigits];
            Convert.TryToHexStringLower([fanout], name, out _);
            Span<byte> message = stackalloc byte[64];
            gate.Send(message[..FuseReply.InvalidateEntry(message, parent, name)]);
        }
    }
}
