using System.IO.Compression;
using System.Security.Cryptography;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Layers;
using Starlight.Infrastructure.Images.Tar;

namespace Starlight.Infrastructure.Images.EStargz;

/// <param name="DiffId">sha256 of the uncompressed tar, TOC entry and end included.</param>
/// <param name="TocDigest">sha256 of the TOC's JSON.</param>
/// <param name="UncompressedSize">Length of the uncompressed tar in bytes.</param>
internal sealed record EStargzSummary(Digest Digest, long Size, Digest DiffId, Digest TocDigest, long UncompressedSize);

/// <summary>
/// Writes a layer as eStargz (docs/formats/estargz.md):
/// <code>
/// member : tar header of the landmark
/// member : 0x0f, padding, headers up to the first payload
/// member : payload of the first non-empty file (4 MiB of it at most), padding, headers up to the next payload
/// …
/// member : TOC: tar header, JSON, padding, two zero blocks
/// member : footer, 51 bytes
/// </code>
/// The entries' own headers are repeated byte for byte. Order of calls: the landmark where it belongs, entries, finish. Same calls give the same bytes.
/// </summary>
internal sealed class EStargzWriter : IAsyncDisposable
{
    /// <summary>Most of a file that one member holds: stargz-snapshotter's default.</summary>
    public const int DefaultChunkSize = 4 * 1024 * 1024;

    private readonly BlobFile _blob;
    private readonly MemberPipeline _members;
    private readonly int _chunkSize;
    private readonly TocDraft _toc = new();
    private readonly IncrementalHash _diffHash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly IncrementalHash _contentHash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly IncrementalHash _chunkHash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private long _uncompressedSize;

    /// <param name="blob">Empty; stays the caller's.</param>
    /// <param name="processors">See <see cref="MemberPipeline"/>.</param>
    /// <param name="chunkSize">In bytes.</param>
    public EStargzWriter(BlobFile blob, SemaphoreSlim processors, int chunkSize = DefaultChunkSize)
    {
        _blob = blob;
        _members = new MemberPipeline(blob, processors);
        _chunkSize = chunkSize;
    }

    /// <summary>
    /// Marks the boundary between prioritised files, in the order of their first use, and the rest; the format wants it in every layer. Without prioritised
    /// files call it first.
    /// </summary>
    /// <param name="hasPrioritised">There were entries before it that a runtime should fetch at once.</param>
    /// <param name="cancellationToken">Leaves the blob unusable.</param>
    public async ValueTask WriteLandmarkAsync(bool hasPrioritised, CancellationToken cancellationToken)
    {
        TarEntry landmark = new() { Name = hasPrioritised ? EStargzNames.PrefetchLandmark : EStargzNames.NoPrefetchLandmark, Kind = FileKind.Regular, Size = 1 };
        await WriteAsync(TarHeaderWriter.Write(landmark), cancellationToken);
        bool sent = false;
        await WriteContentAsync(
            landmark,
            _ =>
            {
                ReadOnlyMemory<byte> piece = sent ? default : new byte[] { EStargzNames.LandmarkByte };
                sent = true;
                return ValueTask.FromResult(piece);
            },
            cancellationToken);
    }

    /// <summary>Writes one entry.</summary>
    /// <param name="entry">From a <see cref="TarReader"/>.</param>
    /// <param name="nextPiece">Gives the entry's content piece by piece, then nothing; asked only if the entry has one.</param>
    /// <param name="cancellationToken">Leaves the blob unusable.</param>
    public async ValueTask<LayerEntry> WriteEntryAsync(TarEntry entry, Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>>> nextPiece, CancellationToken cancellationToken)
    {
        await WriteAsync(entry.CanRepeatHeaders ? entry.RawHeaders : TarHeaderWriter.Write(entry), cancellationToken);
        return await WriteContentAsync(entry, nextPiece, cancellationToken);
    }

    /// <summary>Writes the TOC and the footer.</summary>
    public async ValueTask<EStargzSummary> FinishAsync(CancellationToken cancellationToken)
    {
        await _members.FlushAsync(cancellationToken);
        (Digest tocDigest, long tocLength) = MeasureToc();
        long tocOffset = _blob.Length;
        await WriteTocAsync(tocLength, cancellationToken);
        await _blob.WriteAsync(EStargzFooter.Encode(tocOffset), cancellationToken);
        return new EStargzSummary(_blob.Complete(), _blob.Length, Take(_diffHash), tocDigest, _uncompressedSize);
    }

    public async ValueTask DisposeAsync()
    {
        await _members.DisposeAsync();
        _diffHash.Dispose();
        _contentHash.Dispose();
        _chunkHash.Dispose();
    }

    private async ValueTask<LayerEntry> WriteContentAsync(TarEntry entry, Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>>> nextPiece, CancellationToken cancellationToken)
    {
        bool isChunked = entry.Size > _chunkSize;
        long position = 0;
        int member = 0;
        while (position < entry.Size)
        {
            ReadOnlyMemory<byte> piece = await nextPiece(cancellationToken);
            if (piece.IsEmpty)
            {
                throw new InvalidOperationException($"'{entry.Name.Display}' ended after {position} of {entry.Size} bytes");
            }

            _contentHash.AppendData(piece.Span);
            while (!piece.IsEmpty)
            {
                int offset = (int)(position % _chunkSize);
                if (offset == 0)
                {
                    member = await _members.BeginMemberAsync(cancellationToken);
                }

                int step = Math.Min(piece.Length, _chunkSize - offset);
                await WriteAsync(piece[..step], cancellationToken);
                position += step;
                if (isChunked)
                {
                    _chunkHash.AppendData(piece.Span[..step]);
                    if (position % _chunkSize == 0 || position == entry.Size)
                    {
                        _toc.AddChunk(member, Take(_chunkHash));
                    }
                }

                piece = piece[step..];
            }
        }

        Digest content = entry.Kind == FileKind.Regular ? Take(_contentHash) : default;
        if (entry.Size > 0 && !isChunked)
        {
            _toc.AddChunk(member, content);
        }

        await WriteAsync(TarHeaderWriter.EndOfArchive.AsMemory(0, TarHeaderWriter.Padding(entry.Size)), cancellationToken);
        LayerEntry layerEntry = LayerEntryFactory.From(entry, content);
        _toc.Add(layerEntry, entry);
        return layerEntry;
    }

    private async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        _diffHash.AppendData(bytes.Span);
        _uncompressedSize += bytes.Length;
        await _members.WriteAsync(bytes, cancellationToken);
    }

    private (Digest Digest, long Length) MeasureToc()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long length = 0;
        using WriteOnlyStream measure = new(bytes =>
        {
            hash.AppendData(bytes);
            length += bytes.Length;
        });
        _toc.Write(measure, _members.Offsets, _chunkSize);
        return (Take(hash), length);
    }

    /// <summary>The TOC's JSON is made synchronously; what comes out of the compressor is kept, a few per cent of the blob at most, and then written.</summary>
    private async ValueTask WriteTocAsync(long length, CancellationToken cancellationToken)
    {
        await using PooledStream compressed = new();
        await using (GZipStream gzip = new(compressed, new ZLibCompressionOptions { CompressionLevel = MemberPipeline.Level }, leaveOpen: true))
        {
            await using WriteOnlyStream tar = new(bytes =>
            {
                _diffHash.AppendData(bytes);
                _uncompressedSize += bytes.Length;
                gzip.Write(bytes);
            });
            tar.Write(TarHeaderWriter.Write(EStargzNames.Toc, length));
            _toc.Write(tar, _members.Offsets, _chunkSize);
            tar.Write(TarHeaderWriter.EndOfArchive.AsSpan(0, TarHeaderWriter.Padding(length)));
            tar.Write(TarHeaderWriter.EndOfArchive);
        }

        await _blob.WriteAsync(compressed.Written, cancellationToken);
    }

    private static Digest Take(IncrementalHash hash)
    {
        Span<byte> raw = stackalloc byte[Digest.Size];
        hash.GetHashAndReset(raw);
        return new Digest(raw);
    }
}
