#pragma warning disable CA1416 // Unix file modes: Starlight runs on Linux only
using System.Net.Sockets;
using System.Text;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Grpc;

/// <summary>
/// A unix socket that only its owner can connect to, claimed for the life of this object.
/// <para>
/// bind(2) creates the socket file with mode 0777 &amp; ~umask, so bind-then-chmod leaves a moment in which anybody may connect; narrowing the process's umask instead would
/// reach into every other thread. So the socket is bound inside a fresh directory of mode 0700, set to 0600 there, put into the listening state, and then renamed to its
/// place: rename(2) is atomic, replaces a stale file, and a socket is found by inode, not by the name it was bound to. Whoever sees the path can connect to it.
/// </para>
/// <para>
/// Two daemons starting at once are kept apart by an exclusive flock on <c>PATH.lock</c>, which the kernel drops with the process; the file stays, because unlinking a lock
/// file races with the next claimant. A process that does not know the lock is found by connecting.
/// </para>
/// </summary>
public sealed class UnixSocketListener : IDisposable
{
    /// <summary>Connections the kernel queues until Kestrel accepts: Kestrel's own default.</summary>
    private const int Backlog = 512;

    /// <summary><c>sun_path</c> has 108 bytes, the last one a NUL (unix(7)).</summary>
    private const int MaxPathBytes = 107;

    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly FileStream _lock;

    private UnixSocketListener(string path, FileStream @lock, Socket socket)
    {
        Path = path;
        _lock = @lock;
        Socket = socket;
    }

    /// <summary>Absolute path of the socket.</summary>
    public string Path { get; }

    /// <summary>Listening already: early callers wait in the kernel's queue until the server runs.</summary>
    internal Socket Socket { get; }

    /// <summary>Claims <paramref name="path"/>, creating its directory (0755) if missing.</summary>
    /// <exception cref="FailureException">
    /// FailedPrecondition <c>Socket.InUse</c> if a live process listens there; InvalidInput <c>Socket.BadPath</c> if the path is too long or something other than a socket;
    /// PermissionDenied <c>Socket.NotPermitted</c>.
    /// </exception>
    public static UnixSocketListener Bind(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        string directory = System.IO.Path.GetDirectoryName(path) ?? throw BadPath(path, "the root directory cannot be a socket");
        string bindDirectory = System.IO.Path.Combine(directory, "." + System.IO.Path.GetRandomFileName()[..6]);
        string bindPath = System.IO.Path.Combine(bindDirectory, "s");
        if (Math.Max(Encoding.UTF8.GetByteCount(path), Encoding.UTF8.GetByteCount(bindPath)) > MaxPathBytes)
        {
            throw BadPath(path, $"a socket path may have {MaxPathBytes} bytes at most: choose a shorter directory");
        }

        FileStream? claim = null;
        Socket? socket = null;
        try
        {
            Directory.CreateDirectory(directory, Private | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
            claim = Claim(path);
            RefuseUnlessFree(path);

            Directory.CreateDirectory(bindDirectory, Private | UnixFileMode.UserExecute);
            try
            {
                socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                socket.Bind(new UnixDomainSocketEndPoint(bindPath));
                File.SetUnixFileMode(bindPath, Private);
                socket.Listen(Backlog);
                File.Move(bindPath, path, overwrite: true);
            }
            finally
            {
                Directory.Delete(bindDirectory, recursive: true);
            }

            UnixSocketListener listener = new(path, claim, socket);
            (claim, socket) = (null, null);
            return listener;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or SocketException { SocketErrorCode: SocketError.AccessDenied })
        {
            throw new FailureException(new Error("Socket.NotPermitted", $"cannot listen on {path}: {e.Message}: run as root or choose another path", ErrorKind.PermissionDenied), e);
        }
        finally
        {
            socket?.Dispose();
            claim?.Dispose();
        }
    }

    /// <summary>Closes the socket and removes its file, unless another process has put its own there in the meantime.</summary>
    public void Dispose()
    {
        Socket.Dispose();
        if (File.Exists(Path) && !HasListener(Path))
        {
            File.Delete(Path);
        }

        _lock.Dispose();
    }

    private static FileStream Claim(string path)
    {
        string lockPath = path + ".lock";
        try
        {
            // FileShare.None is flock(LOCK_EX | LOCK_NB) on Unix, and the descriptor is close-on-exec.
            return new FileStream(lockPath, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None, UnixCreateMode = Private });
        }
        catch (IOException e) when (File.Exists(lockPath))
        {
            throw InUse(path, e);
        }
    }

    private static void RefuseUnlessFree(string path)
    {
        if (!File.Exists(path) && !Directory.Exists(path))
        {
            return;
        }

        if (!IsSocket(path))
        {
            throw BadPath(path, "something else than a socket is there: remove it or choose another path");
        }

        if (HasListener(path))
        {
            throw InUse(path, null);
        }
    }

    /// <summary>connect(2) tells a socket that nobody listens on (ECONNREFUSED) from a live one; what has just vanished (ENOENT) has no listener either.</summary>
    private static bool HasListener(string path)
    {
        using Socket probe = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable)
        {
            return false;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain)
        {
            return true; // its queue is full, so somebody owns it
        }
    }

    /// <summary>connect(2) refuses regular files just as it refuses stale sockets.</summary>
    private static bool IsSocket(string path) => FileStatus.Read(path, out FileStatus status) == 0 && status.IsSocket;

    private static FailureException InUse(string path, Exception? inner) => new(
        new Error("Socket.InUse", $"another process listens on {path}: stop it or choose another path", ErrorKind.FailedPrecondition), inner);

    private static FailureException BadPath(string path, string why) => new(new Error("Socket.BadPath", $"cannot listen on {path}: {why}", ErrorKind.InvalidInput));
}
