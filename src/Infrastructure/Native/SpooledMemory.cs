using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Native;

/// <summary>
/// Memory for what is large, used for a while and mostly read or written from one end to the other: a file without a name, mapped. On a disk it is the kernel's page cache, not the process's own memory, so the
/// kernel takes it back when memory is short; and those who go through it say with <see cref="Relax"/> what they are done with, so that it does not count as resident either.
/// </summary>
/// <remarks>
/// The file has its room on the disk before it is mapped: a full disk is an error of <see cref="Rent"/>, not a signal later. Spans must not be used after it was disposed. It is never unmapped otherwise, not by the
/// garbage collector either, which does not see spans.
/// </remarks>
internal sealed unsafe partial class SpooledMemory : MemoryManager<byte>
{
    /// <summary>What is shorter is an array: mapping costs system calls and page faults. An image of some 80,000 files. Arbitrary.</summary>
    public const int Threshold = 16 << 20;

    /// <summary>How much is read or written before it is given back. Arbitrary.</summary>
    public const int Stride = 8 << 20;

    private const int PROT_READ = 1;
    private const int PROT_WRITE = 2;
    private const int MAP_SHARED = 1;
    private const int MADV_DONTNEED = 4;
    private const nint MAP_FAILED = -1;

    private readonly int _length;

    /// <summary>Advice must not reach an address that belongs to something else by then.</summary>
    private readonly Lock _mapping = new();

    private byte* _start;

    private SpooledMemory(nint start, int length)
    {
        _start = (byte*)start;
        _length = length;
    }

    /// <summary>Where files of those lie who name no directory: <c>TMPDIR</c>, or <c>/var/tmp</c>, because <c>/tmp</c> is memory in many systems (file-hierarchy(7)).</summary>
    public static string DefaultDirectory => Environment.GetEnvironmentVariable("TMPDIR") is { Length: > 0 } chosen ? chosen : Directory.Exists("/var/tmp") ? "/var/tmp" : Path.GetTempPath();

    /// <summary>Zeros of exactly this length, in memory if it is short.</summary>
    /// <param name="length">In bytes.</param>
    /// <param name="directory">Where the file lies; null for <see cref="DefaultDirectory"/>.</param>
    /// <exception cref="FailureException">ResourceExhausted <c>Spool.NoSpace</c>; Internal <c>Spool.Unusable</c>.</exception>
    public static IMemoryOwner<byte> Rent(int length, string? directory)
    {
        if (length < Threshold)
        {
            return Allocate(length);
        }

        directory ??= DefaultDirectory;
        try
        {
            string path = Path.Combine(directory, "starlight-spool-" + Path.GetRandomFileName());
            using SafeFileHandle handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            File.Delete(path);
            if (posix_fallocate(handle, 0, length) is not 0 and int error)
            {
                throw Failure(directory, length, error, inner: null);
            }

            // The mapping keeps the file.
            nint start = mmap(0, (nuint)length, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
            return start != MAP_FAILED ? new SpooledMemory(start, length) : throw Failure(directory, length, Marshal.GetLastPInvokeError(), inner: null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(directory, length, e.HResult & 0xffff, e);
        }
    }

    /// <summary>Zeros in the process's own memory.</summary>
    public static IMemoryOwner<byte> Allocate(int length) => new Plain(new byte[length]);

    /// <summary>Lets go of the pages that <paramref name="memory"/> has brought into this process, if it is of this kind; what is in them stays. Cheap for other memory.</summary>
    public static void Relax(ReadOnlyMemory<byte> memory)
    {
        if (MemoryMarshal.TryGetMemoryManager(memory, out SpooledMemory? spooled, out _, out _))
        {
            lock (spooled._mapping)
            {
                if (spooled._start is not null)
                {
                    // Only advice: what goes wrong costs memory, nothing else.
                    madvise(spooled._start, (nuint)spooled._length, MADV_DONTNEED);
                }
            }
        }
    }

    /// <summary>All of <paramref name="memory"/>, part by part; each is let go of before the next.</summary>
    public static IEnumerable<ReadOnlyMemory<byte>> Parts(ReadOnlyMemory<byte> memory)
    {
        for (int at = 0; at < memory.Length; at += Stride)
        {
            yield return memory.Slice(at, Math.Min(Stride, memory.Length - at));
            Relax(memory);
        }
    }

    /// <summary>sha256, without bringing all of it in at once.</summary>
    public static Digest Hash(ReadOnlyMemory<byte> memory)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (ReadOnlyMemory<byte> part in Parts(memory))
        {
            hash.AppendData(part.Span);
        }

        Span<byte> digest = stackalloc byte[Digest.Size];
        hash.GetHashAndReset(digest);
        return new Digest(digest);
    }

    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(_start is null, this);
        return new Span<byte>(_start, _length);
    }

    /// <summary>It does not move.</summary>
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ObjectDisposedException.ThrowIf(_start is null, this);
        return new MemoryHandle(_start + elementIndex);
    }

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        lock (_mapping)
        {
            if (_start is not null)
            {
                munmap(_start, (nuint)_length);
                _start = null;
            }
        }
    }

    private static FailureException Failure(string directory, int length, int error, Exception? inner)
    {
        const int EFBIG = 27;
        const int ENOSPC = 28;
        const int EDQUOT = 122;
        return new FailureException(
            error is ENOSPC or EDQUOT or EFBIG
                ? new Error("Spool.NoSpace", $"there is no room for {length >> 20} MB in {directory}, where a large image lies while it is worked on: free some, or name another directory", ErrorKind.ResourceExhausted)
                : new Error("Spool.Unusable", $"a file of {length >> 20} MB cannot be made in {directory} ({inner?.Message ?? $"error {error}"})", ErrorKind.Internal),
            inner);
    }

    [LibraryImport("libc")]
    private static partial int posix_fallocate(SafeFileHandle file, long offset, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, SafeFileHandle file, long offset);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nuint length);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);

    private sealed class Plain(byte[] bytes) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory => bytes;

        public void Dispose()
        {
        }
    }
}
