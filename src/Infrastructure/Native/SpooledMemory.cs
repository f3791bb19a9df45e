using System.Buffers;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Native;

/// <summary>
/// Memory for what is large, used for a while and mostly read or written from one end to the other: a file without a name, mapped. It is the kernel's page cache, not the process's own memory, so the
/// kernel takes it back when memory is short; and those who go through it say with <see cref="Relax"/> what they are done with, so that it does not count as resident either.
/// </summary>
/// <remarks>
/// The file has its room on the disk before it is mapped: a full disk is an <see cref="IOException"/> of <see cref="Rent"/>, not a signal later. Spans must not be used after <see cref="MemoryManager{T}.Dispose(bool)"/>.
/// </remarks>
internal sealed unsafe partial class SpooledMemory : MemoryManager<byte>
{
    /// <summary>What is shorter is an array: mapping costs system calls and page faults. An image of some 80,000 files. Arbitrary.</summary>
    public const int Threshold = 16 << 20;

    /// <summary>How much is read or written before it is given back. Arbitrary.</summary>
    public const int Stride = 8 << 20;

    private const int MADV_DONTNEED = 4;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly int _length;
    private byte* _start;

    private SpooledMemory(MemoryMappedFile file, int length)
    {
        _file = file;
        _length = length;
        _view = file.CreateViewAccessor(0, length);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
    }

    /// <summary>Zeros of exactly this length, in memory if it is short.</summary>
    /// <param name="length">In bytes.</param>
    /// <param name="directory">Where the file lies, on a disk; null for the system's directory for temporary files.</param>
    /// <exception cref="IOException">The disk is full.</exception>
    public static IMemoryOwner<byte> Rent(int length, string? directory)
    {
        if (length < Threshold)
        {
            return new Plain(new byte[length]);
        }

        string path = Path.Combine(directory ?? Path.GetTempPath(), "starlight-spool-" + Path.GetRandomFileName());
        using SafeFileHandle handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, FileOptions.None, preallocationSize: length);
        try
        {
            File.Delete(path);
            RandomAccess.SetLength(handle, length);
            return new SpooledMemory(MemoryMappedFile.CreateFromFile(handle, mapName: null, length, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true), length);
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    /// <summary>Lets go of the pages that <paramref name="memory"/> has brought into this process, if it is of this kind; what is in them stays. Cheap for other memory.</summary>
    public static void Relax(ReadOnlyMemory<byte> memory)
    {
        if (MemoryMarshal.TryGetMemoryManager(memory, out SpooledMemory? spooled, out _, out _) && spooled._start is not null)
        {
            // Only advice: what goes wrong costs memory, nothing else.
            madvise(spooled._start, (nuint)spooled._length, MADV_DONTNEED);
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
        if (_start is not null)
        {
            _start = null;
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file.Dispose();
        }
    }

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
