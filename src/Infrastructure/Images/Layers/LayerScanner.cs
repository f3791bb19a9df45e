using System.Security.Cryptography;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.EStargz;
using Starlight.Infrastructure.Images.Tar;

namespace Starlight.Infrastructure.Images.Layers;

/// <summary>
/// Reads a layer blob front to back:
/// <code>
/// blob → remember the tail → gunzip / unzstd → sha256 (diff ID) → tar → sha256 (content) → sink
/// </code>
/// Memory: fixed buffers and the entries in the form in which they are stored (<see cref="EntryLog"/>). Stateless and safe for concurrent use.
/// </summary>
internal sealed class LayerScanner : ILayerScanner
{
    public async Task<LayerScan> ScanAsync(Stream blob, string mediaType, IContentSink? sink, CancellationToken cancellationToken)
    {
        LayerBlobStream source = new(blob, progress: null);
        LayerCompression compression = LayerDecompression.Detect((await source.PeekAsync(cancellationToken)).Span);
        await using Stream tar = LayerDecompression.Open(source, compression);
        using TarReader reader = new(tar);
        using IncrementalHash contentHash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        EntryLog entries = new();
        LayerBudget budget = default;
        TocMembers? toc = null;
        while (await reader.NextAsync(cancellationToken) is { } entry)
        {
            budget.Take(entry);
            toc = entry.Kind == FileKind.Regular && compression == LayerCompression.Gzip && entry.Name.Clean() == EStargzNames.Toc ? new TocMembers(entries) : null;
            Digest content = entry.Kind == FileKind.Regular ? await ReadContentAsync(reader, entry.Size, contentHash, sink, toc, cancellationToken) : default;
            entries.Add(LayerEntryFactory.From(entry, content));
        }

        Digest diffId = await reader.DrainAsync(cancellationToken);
        if (!await source.DrainAsync(cancellationToken))
        {
            throw LayerFailures.Malformed("something follows its compressed data");
        }

        long tocOffset = 0;
        bool isEStargz = compression == LayerCompression.Gzip && EStargzFooter.TryParse(source.Tail, out tocOffset) && tocOffset < source.BytesRead && EndsInToc(entries);
        if (!isEStargz)
        {
            return new LayerScan(entries, diffId, reader.Length, IsEStargz: false);
        }

        byte[]? members = toc!.Finish(tocOffset);
        return new LayerScan(WithoutFormatEntries(entries), diffId, reader.Length, IsEStargz: true) { Members = members };
    }

    public IReadOnlyList<ReadOnlyMemory<byte>> EncodeIndex(IReadOnlyList<LayerEntry> entries) => LayerIndexCodec.EncodePieces(entries);

    public IReadOnlyList<LayerEntry> DecodeIndex(ReadOnlyMemory<byte> index) => LayerIndexCodec.Decode(index);

    private static async ValueTask<Digest> ReadContentAsync(TarReader reader, long size, IncrementalHash hash, IContentSink? sink, TocMembers? toc, CancellationToken cancellationToken)
    {
        if (size == 0)
        {
            return Digest.Empty;
        }

        if (sink is not null)
        {
            await sink.BeginAsync(size, cancellationToken);
        }

        while (true)
        {
            ReadOnlyMemory<byte> piece = await reader.ReadContentAsync(cancellationToken);
            if (piece.IsEmpty)
            {
                break;
            }

            hash.AppendData(piece.Span);
            toc?.Append(piece.Span);
            if (sink is not null)
            {
                await sink.WriteAsync(piece, cancellationToken);
            }
        }

        Digest digest = HashValue(hash);
        if (sink is not null)
        {
            await sink.CompleteAsync(digest, cancellationToken);
        }

        return digest;
    }

    private static Digest HashValue(IncrementalHash hash)
    {
        Span<byte> raw = stackalloc byte[Digest.Size];
        hash.GetHashAndReset(raw);
        return new Digest(raw);
    }

    private static bool EndsInToc(EntryLog entries) => entries.Count > 0 && entries[^1].Kind == FileKind.Regular && entries[^1].Path == EStargzNames.Toc;

    private static EntryLog WithoutFormatEntries(EntryLog entries) => EntryLog.Of(entries.Take(entries.Count - 1).Where(e => !EStargzNames.IsLandmark(e)));
}
