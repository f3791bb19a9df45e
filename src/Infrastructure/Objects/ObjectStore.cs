using System.IO.Enumeration;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects.Native;

namespace Starlight.Infrastructure.Objects;

/// <summary>
/// The worker's file contents: <c>&lt;root&gt;/&lt;2 hex&gt;/&lt;62 hex&gt;</c>, named by sha256, shared by all images and containers
/// (design page, section 2; ADR 0006). The directory is a data-only layer of every container's overlay, so the one promise that matters is:
/// <em>a name exists only for a complete content that had its digest when it was written.</em> Safe for concurrent use.
/// </summary>
/// <remarks>
/// <para>An object is written into an unnamed file (O_TMPFILE) and linked once it is complete. A crash therefore leaves nothing to clean up, and of
/// two writers of one object the first wins and the other's link fails with EEXIST, which is success.</para>
/// <para>Objects are root:root 0400 in a 0700 directory. Overlayfs shows mode and owner from the EROFS image and opens the lower file with the
/// mounter's credentials (root), so no other user ever needs access here, and must not have it: the store holds the secrets of every image.</para>
/// </remarks>
public sealed partial class ObjectStore : IDisposable
{
    private const uint ObjectMode = 0x100; // 0400
    private const uint DirectoryMode = 0x1C0; // 0700

    private readonly SafeFileHandle _directory;
    private int _nextFanout; // where the next unnamed file is created; any directory does

    /// <summary>Opens the store, creating what is missing, and checks what a power loss may have damaged (see <see cref="Sync"/>).</summary>
    public ObjectStore(string root)
    {
        ArgumentException.ThrowIfNullOrEmpty(root);
        Root = Path.GetFullPath(root);
        Directory.CreateDirectory(Path.GetDirectoryName(Root) ?? Root);
        CreateDirectory(Root, parent: -1, Root);
        _directory = OpenDirectory(Root);
        for (int fanout = 0; fanout < ObjectPath.FanoutCount; fanout++)
        {
            CreateDirectory(Root, Fd, fanout.ToString("x2"));
        }

        RecheckAfterPowerLoss();
    }

    /// <summary>The directory's absolute path, as overlay mounts name it.</summary>
    public string Root { get; }

    /// <summary>True if the content is here, complete. One system call (about 1 µs).</summary>
    public unsafe bool Contains(Digest digest)
    {
        ObjectPath path = ObjectPath.Of(digest);
        if (ObjectSyscalls.FAccessAt(Fd, (byte*)&path, ObjectSyscalls.F_OK, 0) == 0)
        {
            return true;
        }

        return Errno.Last == Errno.ENOENT ? false : throw ObjectErrors.FromErrno($"looking for {digest}", Root, Errno.Last);
    }

    /// <summary>Where the content is, or would be.</summary>
    public string PathOf(Digest digest) => Path.Combine(Root, digest.ObjectPath);

    /// <summary>Opens a content for reading, unbuffered. Fails with NotFound.</summary>
    public FileStream OpenRead(Digest digest)
    {
        try
        {
            return new FileStream(PathOf(digest), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
        }
        catch (FileNotFoundException e)
        {
            throw new FailureException(ObjectErrors.Missing(digest, Root), e);
        }
    }

    /// <summary>
    /// Starts writing a content of <paramref name="expectedSize"/> bytes. Nothing is visible until <see cref="ObjectWriter.Commit"/>; disposing the
    /// writer without it leaves no trace.
    /// </summary>
    public ObjectWriter BeginWrite(long expectedSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(expectedSize);
        return new ObjectWriter(this, CreateUnnamed((byte)Interlocked.Increment(ref _nextFanout)), expectedSize);
    }

    /// <summary>Stores a content that is in memory. Checks its digest; a content that is here already costs one look.</summary>
    /// <exception cref="FailureException"><c>Object.DigestMismatch</c>, <c>Object.NoSpace</c>.</exception>
    public unsafe void Put(Digest digest, ReadOnlySpan<byte> content)
    {
        if (Contains(digest))
        {
            return;
        }

        Digest actual = Digest.Of(content);
        if (actual != digest)
        {
            throw new FailureException(ObjectErrors.DigestMismatch(digest, actual, content.Length));
        }

        int fd = CreateUnnamed((byte)Interlocked.Increment(ref _nextFanout));
        try
        {
            WriteAll(fd, content);
            Publish(fd, digest);
        }
        finally
        {
            _ = ObjectSyscalls.Close(fd);
        }
    }

    /// <summary>Removes a content. False if it was not here. Mounted containers that have it open keep it; others then fail to open it.</summary>
    public unsafe bool Delete(Digest digest)
    {
        ObjectPath path = ObjectPath.Of(digest);
        if (ObjectSyscalls.UnlinkAt(Fd, (byte*)&path, 0) == 0)
        {
            return true;
        }

        return Errno.Last == Errno.ENOENT ? false : throw ObjectErrors.FromErrno($"removing {digest}", Root, Errno.Last);
    }

    /// <summary>All contents here, in no order. What is added or removed meanwhile may or may not be seen.</summary>
    public IEnumerable<Digest> Enumerate()
    {
        for (int fanout = 0; fanout < ObjectPath.FanoutCount; fanout++)
        {
            foreach (Digest digest in EnumerateFanout((byte)fanout))
            {
                yield return digest;
            }
        }
    }

    public void Dispose() => _directory.Dispose();

    /// <summary>Gives the unnamed file its name. First wins: a name that exists already is success.</summary>
    internal unsafe void Publish(int fd, Digest digest)
    {
        ObjectPath path = ObjectPath.Of(digest);
        byte empty = 0;
        if (ObjectSyscalls.LinkAt(fd, &empty, Fd, (byte*)&path, ObjectSyscalls.AT_EMPTY_PATH) != 0 && Errno.Last != Errno.EEXIST)
        {
            throw ObjectErrors.FromErrno($"storing {digest}", Root, Errno.Last);
        }
    }

    internal unsafe void WriteAll(int fd, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            for (int done = 0; done < bytes.Length;)
            {
                nint written = ObjectSyscalls.Write(fd, start + done, (nuint)(bytes.Length - done));
                if (written > 0)
                {
                    done += (int)written;
                }
                else if (Errno.Last != Errno.EINTR)
                {
                    throw ObjectErrors.FromErrno("writing a content", Root, Errno.Last);
                }
            }
        }
    }

    private int Fd => (int)_directory.DangerousGetHandle();

    private static unsafe void CreateDirectory(string root, int parent, string name)
    {
        fixed (byte* bytes = Encoding.UTF8.GetBytes(name + '\0'))
        {
            if (ObjectSyscalls.MkDirAt(parent, bytes, DirectoryMode) != 0 && Errno.Last != Errno.EEXIST)
            {
                throw ObjectErrors.FromErrno($"creating the directory {name}", root, Errno.Last);
            }
        }
    }

    private static SafeFileHandle OpenDirectory(string path)
    {
        unsafe
        {
            fixed (byte* bytes = Encoding.UTF8.GetBytes(path + '\0'))
            {
                int fd = ObjectSyscalls.OpenAt(-1, bytes, ObjectSyscalls.O_RDONLY | ObjectSyscalls.O_DIRECTORY | ObjectSyscalls.O_CLOEXEC, 0);
                return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw ObjectErrors.FromErrno("opening the directory", path, Errno.Last);
            }
        }
    }

    /// <summary>
    /// An unnamed file in a fan-out directory. Not in the root: ext4 places an inode near its directory and searches that block group from its start each
    /// time, passing over inodes deleted within the last seconds. After a clean-up that made every file in one directory cost 1–2 ms; spread over
    /// the fan-out directories 0.08–0.2 ms under the same load, and 30 µs on a quiet machine.
    /// </summary>
    private unsafe int CreateUnnamed(byte fanout)
    {
        Span<byte> name = stackalloc byte[ObjectPath.FanoutDigits + 1];
        Convert.TryToHexStringLower(new ReadOnlySpan<byte>(in fanout), name, out _);
        name[^1] = 0;
        fixed (byte* path = name)
        {
            int fd = ObjectSyscalls.OpenAt(Fd, path, ObjectSyscalls.O_TMPFILE | ObjectSyscalls.O_WRONLY | ObjectSyscalls.O_CLOEXEC, ObjectMode);
            return fd >= 0 ? fd : throw ObjectErrors.FromErrno("creating a file", Root, Errno.Last);
        }
    }

    private IEnumerable<Digest> EnumerateFanout(byte fanout)
    {
        string prefix = fanout.ToString("x2");
        return new FileSystemEnumerable<Digest>(
            Path.Combine(Root, prefix),
            (ref FileSystemEntry entry) => Digest.TryParseHex(string.Concat(prefix, entry.FileName), out Digest digest) ? digest : default)
        {
            ShouldIncludePredicate = (ref FileSystemEntry entry) =>
                entry.FileName.Length == ObjectPath.NameDigits && Digest.TryParseHex(string.Concat(prefix, entry.FileName), out _),
        };
    }
}
