using System.Buffers;
using System.Security.Cryptography;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression;

namespace Starlight.Infrastructure.Contents;

/// <summary>
/// Takes contents from one layer scan into the store. A small content is collected in memory and only compressed if it is new; a large one goes
/// through the compressor into a temporary file as it arrives, because its digest is known only at its end. Used by one thread at a time.
/// </summary>
internal sealed class ContentIntake(ContentStore store, IReadOnlyCollection<ContentRef>? only) : IContentIntake
{
    private readonly HashSet<ContentRef>? _only = only?.ToHashSet();

    /// <summary>A content of another length is none of <see cref="_only"/> and needs no temporary file.</summary>
    private readonly HashSet<long>? _onlySizes = only?.Select(c => c.Size).ToHashSet();

    private bool _skipped;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly ZstdCompressor _compressor = new(ContentStore.CompressionLevel);

    /// <summary>Rented once, returned by DisposeAsync: the small content being collected, and its frame.</summary>
    private readonly byte[] _small = ArrayPool<byte>.Shared.Rent(ContentStore.SmallContent);

    private readonly byte[] _frame = ArrayPool<byte>.Shared.Rent(ZstdCompressor.Bound(ContentStore.SmallContent));

    private ZstdCompressionStream? _large;
    private string? _temporary;
    private long _expected;
    private long _written;

    public (long Count, long Bytes) Added { get; private set; }

    public async ValueTask BeginAsync(long size, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        await AbandonAsync();
        if (_written > 0)
        {
            // What was begun before and not completed.
            _hash.GetHashAndReset();
        }

        (_expected, _written) = (size, 0);
        _skipped = _onlySizes?.Contains(size) == false;
        if (!_skipped && size > ContentStore.SmallContent)
        {
            _temporary = store.NewTemporaryPath();
            _large = new ZstdCompressionStream(new FileStream(_temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0), ContentStore.CompressionLevel, contentSize: size);
        }
    }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (bytes.Length > _expected - _written)
        {
            throw new InvalidOperationException($"a content of {_expected} bytes was given more");
        }

        if (_skipped)
        {
            _written += bytes.Length;
            return;
        }

        _hash.AppendData(bytes.Span);
        if (_large is not null)
        {
            await _large.WriteAsync(bytes, cancellationToken);
        }
        else
        {
            bytes.Span.CopyTo(_small.AsSpan((int)_written));
        }

        _written += bytes.Length;
    }

    public async ValueTask CompleteAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (_skipped)
        {
            return;
        }

        Digest actual = new(_hash.GetHashAndReset());
        if (_written != _expected || actual != digest)
        {
            await AbandonAsync();
            throw new FailureException(new Error("Contents.DigestMismatch", $"a content of {_written} bytes arrived as {digest} but has the digest {actual}", ErrorKind.DataCorrupt));
        }

        if (_only?.Contains(new ContentRef(digest, _written)) == false)
        {
            await AbandonAsync();
            return;
        }

        bool added = _large is not null ? await CompleteLargeAsync(digest) : CompleteSmall(digest);
        if (added)
        {
            Added = (Added.Count + 1, Added.Bytes + _written);
            store.Trim();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await AbandonAsync();
        _hash.Dispose();
        _compressor.Dispose();
        ArrayPool<byte>.Shared.Return(_small);
        ArrayPool<byte>.Shared.Return(_frame);
    }

    private bool CompleteSmall(Digest digest)
    {
        if (store.Contains(digest))
        {
            return false;
        }

        int length = _compressor.Compress(_small.AsSpan(0, (int)_written), _frame);
        string temporary = store.NewTemporaryPath();
        try
        {
            using (Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                RandomAccess.Write(file, _frame.AsSpan(0, length), 0);
            }

            return store.Publish(temporary, digest);
        }
        catch
        {
            // A full disk: what is in the way must go, or it stays full.
            File.Delete(temporary);
            throw;
        }
    }

    private async ValueTask<bool> CompleteLargeAsync(Digest digest)
    {
        (ZstdCompressionStream large, string temporary) = (_large!, _temporary!);
        (_large, _temporary) = (null, null);
        try
        {
            await large.DisposeAsync();
            return store.Publish(temporary, digest);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    private async ValueTask AbandonAsync()
    {
        if (_large is null)
        {
            return;
        }

        try
        {
            await _large.DisposeAsync();
        }
        catch (Exception e) when (e is InvalidOperationException or IOException)
        {
            // The frame was promised more bytes than came, exactly what abandoning means; or they find no room, which whoever wrote them has been told.
        }
        finally
        {
            File.Delete(_temporary!);
            (_large, _temporary) = (null, null);
        }
    }
}
