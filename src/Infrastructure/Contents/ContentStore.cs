using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression;
using Starlight.Infrastructure.Objects.Native;

namespace Starlight.Infrastructure.Contents;

/// <summary>
/// The proxy's unique contents of regular files, each one zstd frame in a file named by its sha256:
/// <code>
///   contents/ab/cdef…   one frame: declares the raw length, ends in a checksum (RFC 8878, 3.1.1)
///   contents/tmp/…      being written; removed at start
///   contents/lock       held while a process uses the store
/// </code>
/// A file appears by rename, complete and with its sha256 checked, or not at all. Reading checks the frame's length and checksum, which finds a
/// damaged disk at a tenth of the price of sha256; the worker checks every sha256 again in any case. A content found damaged is removed, and is then as good as evicted: whoever
/// needs it next reads it from the registry again. Safe for concurrent use by one process.
/// </summary>
public sealed class ContentStore : IContentStore, IDisposable
{
    /// <summary>Contents up to this size are handled in one piece in memory, larger ones as streams. Nine of ten files of an image are below 64 KiB.</summary>
    internal const int SmallContent = 1 << 20;

    /// <summary>What contents are stored with: a bundle compresses them anew in blocks, so speed counts here, not the last percent.</summary>
    internal const int CompressionLevel = 3;

    private readonly string _root;
    private readonly FileStream _lock;
    private readonly ContentInventory _inventory;

    /// <param name="root">The <c>contents</c> directory; created if missing.</param>
    /// <param name="limit">Bytes on disk above which the least recently used contents go; running bundles may need more for a while.</param>
    /// <param name="time">Tells when a content was used.</param>
    /// <exception cref="FailureException">FailedPrecondition <c>Contents.InUse</c> or <c>Contents.Unusable</c>.</exception>
    public ContentStore(string root, long limit = long.MaxValue, TimeProvider? time = null)
    {
        _root = root;
        _inventory = new ContentInventory(root, limit, time ?? TimeProvider.System);
        try
        {
            Directory.CreateDirectory(root);
            _lock = new FileStream(Path.Combine(root, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is UnauthorizedAccessException || (e is IOException && !File.Exists(Path.Combine(root, "lock"))))
        {
            throw new FailureException(new Error("Contents.Unusable", $"the data directory cannot be used: {e.Message}", ErrorKind.FailedPrecondition), e);
        }
        catch (IOException e)
        {
            throw new FailureException(new Error("Contents.InUse", $"the content store {root} is used by another process: give each proxy its own data directory", ErrorKind.FailedPrecondition), e);
        }

        string leftovers = TemporaryDirectory;
        if (Directory.Exists(leftovers))
        {
            Directory.Delete(leftovers, recursive: true);
        }

        Directory.CreateDirectory(leftovers);
    }

    /// <summary>For files that may go when the process ends.</summary>
    public string ScratchDirectory => TemporaryDirectory;

    private string TemporaryDirectory => Path.Combine(_root, "tmp");

    public StoreUsage Usage => _inventory.Usage;

    public bool Contains(Digest content) => _inventory.Contains(content);

    public IContentIntake OpenIntake(IReadOnlyCollection<ContentRef>? only = null) => new ContentIntake(this, only);

    public void Touch(IEnumerable<ContentRef> contents) => _inventory.Touch(contents);

    public IDisposable Protect() => _inventory.Protect();

    public IContentSweep BeginSweep() => _inventory.BeginSweep();

    /// <summary>Counts what earlier runs left and brings it below the limit. Reads every file's attributes: for the background.</summary>
    public (long Count, long Bytes) Settle()
    {
        _inventory.ReadAll();
        return _inventory.Trim();
    }

    /// <summary>
    /// Opens a content for one pass from its beginning. The read that would return 0 fails instead if the length or checksum is wrong.
    /// </summary>
    /// <exception cref="FailureException">Unavailable <c>Contents.Missing</c>, DataCorrupt <c>Contents.Corrupt</c> (also from reads).</exception>
    public Stream OpenRead(ContentRef content)
    {
        SafeFileHandle file = OpenFile(content);
        if (content.Size > SmallContent)
        {
            return new StoredContentStream(this, content, new FileStream(file, FileAccess.Read, bufferSize: 0));
        }

        using (file)
        {
            return new MemoryStream(ReadSmall(content, file), writable: false);
        }
    }

    /// <summary>Opens a content's zstd frame as it is stored. Nothing is checked: that is for whoever decompresses it.</summary>
    /// <exception cref="FailureException">Unavailable <c>Contents.Missing</c>.</exception>
    public Stream OpenStored(ContentRef content) => new FileStream(OpenFile(content), FileAccess.Read, bufferSize: 0);

    public ReadOnlyMemory<byte>? Peek(Digest content, long offset, int maxLength)
    {
        FileStream file;
        try
        {
            file = new FileStream(PathOf(content), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            _inventory.Remove(content);
            return null;
        }

        try
        {
            using Stream stream = new ZstdDecompressionStream(file);
            byte[] buffer = new byte[maxLength];
            for (long skip = offset; skip > 0;)
            {
                int skipped = stream.Read(buffer, 0, (int)Math.Min(skip, buffer.Length));
                if (skipped == 0)
                {
                    return ReadOnlyMemory<byte>.Empty;
                }

                skip -= skipped;
            }

            return buffer.AsMemory(0, stream.ReadAtLeast(buffer, maxLength, throwOnEndOfStream: false));
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.DataCorrupt)
        {
            Discard(content, e);
            return null;
        }
    }

    public Task FlushAsync(CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            // One syncfs for thousands of files instead of an fsync for each.
            if (ObjectSyscalls.SyncFs((int)_lock.SafeFileHandle.DangerousGetHandle()) != 0)
            {
                throw new IOException($"syncfs of {_root} failed", new Win32Exception(Marshal.GetLastPInvokeError()));
            }
        },
        cancellationToken);

    public void Dispose() => _lock.Dispose();

    internal static Error Missing(Digest content) =>
        new("Contents.Missing", $"the proxy's content store does not hold {content} (any more): ask again, it is then read from the registry", ErrorKind.Unavailable);

    internal string NewTemporaryPath() => Path.Combine(TemporaryDirectory, Guid.NewGuid().ToString("N"));

    /// <summary>Makes a finished temporary file the content. False if it was there already (the temporary file is gone in either case).</summary>
    internal bool Publish(string temporary, Digest content)
    {
        bool added = _inventory.TryAdd(content, new FileInfo(temporary).Length, () =>
        {
            string path = PathOf(content);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.Move(temporary, path, overwrite: true);
        });
        if (!added)
        {
            File.Delete(temporary);
        }

        return added;
    }

    /// <summary>Makes room if what was published made the store too large.</summary>
    internal void Trim() => _inventory.Trim();

    /// <summary>Removes a damaged content.</summary>
    internal FailureException Discard(Digest content, Exception? inner)
    {
        _inventory.Remove(content);
        return new FailureException(new Error("Contents.Corrupt", $"the stored content {content} was damaged and has been removed: ask again, it is then read from the registry", ErrorKind.DataCorrupt), inner);
    }

    private SafeFileHandle OpenFile(ContentRef content)
    {
        try
        {
            return File.OpenHandle(PathOf(content.Digest), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, content.Size > SmallContent ? FileOptions.SequentialScan : FileOptions.None);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            _inventory.Remove(content.Digest);
            throw new FailureException(Missing(content.Digest), e);
        }
    }

    private byte[] ReadSmall(ContentRef content, SafeFileHandle file)
    {
        long length = RandomAccess.GetLength(file);
        if (length > ZstdCompressor.Bound(SmallContent))
        {
            throw Discard(content.Digest, null);
        }

        byte[] frame = System.Buffers.ArrayPool<byte>.Shared.Rent((int)length);
        try
        {
            int read = 0;
            while (read < length && RandomAccess.Read(file, frame.AsSpan(read, (int)length - read), read) is > 0 and int n)
            {
                read += n;
            }

            byte[] raw = GC.AllocateUninitializedArray<byte>((int)content.Size);
            using ZstdDecompressor decompressor = new();
            decompressor.Decompress(frame.AsSpan(0, read), raw);
            return raw;
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.DataCorrupt)
        {
            throw Discard(content.Digest, e);
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(frame);
        }
    }

    private string PathOf(Digest content) => Path.Combine(_root, content.ObjectPath);
}
