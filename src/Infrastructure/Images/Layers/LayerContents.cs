using System.Buffers;
using System.IO.Compression;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Streams;

namespace Starlight.Infrastructure.Images.Layers;

/// <summary>Reads single members of eStargz blobs.</summary>
internal sealed class LayerContents : ILayerContents
{
    /// <summary>Reading over so much that is not wanted costs less than another request to a registry nearby (1 ms at 1 Gbit/s). Arbitrary.</summary>
    private const long MaxGap = 128 * 1024;

    /// <summary>A range is no longer than this unless one content is: what a dropped connection can cost. Arbitrary.</summary>
    private const long MaxRange = 16 << 20;

    private const int BufferSize = 64 * 1024;

    public IReadOnlyList<LocatedContent> Locate(LayerIndex layer, IReadOnlySet<Digest> wanted) =>
        LayerMembers.Locate(layer.Members.Span, LayerIndexCodec.Decode(layer.Entries), wanted);

    public async Task ReadAsync(OpenBlobRange open, IReadOnlyList<LocatedContent> contents, IContentSink sink, CancellationToken cancellationToken)
    {
        List<LocatedContent> run = [];
        foreach (LocatedContent content in contents.OrderBy(c => c.Pieces[0].Offset))
        {
            if (run.Count > 0 && !Continues(run, content))
            {
                await ReadRunAsync(open, run, sink, cancellationToken);
                run.Clear();
            }

            run.Add(content);
        }

        if (run.Count > 0)
        {
            await ReadRunAsync(open, run, sink, cancellationToken);
        }
    }

    private static bool Continues(List<LocatedContent> run, LocatedContent next)
    {
        long gap = next.Pieces[0].Offset - run[^1].Pieces[^1].End;
        return gap is >= 0 and <= MaxGap && next.Pieces[^1].End - run[0].Pieces[0].Offset <= MaxRange;
    }

    private static async Task ReadRunAsync(OpenBlobRange open, List<LocatedContent> run, IContentSink sink, CancellationToken cancellationToken)
    {
        long position = run[0].Pieces[0].Offset;
        long end = run.Max(c => c.Pieces.Max(p => p.End));
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        Stream range = await open(position, end - position, cancellationToken);
        try
        {
            foreach (LocatedContent content in run)
            {
                await sink.BeginAsync(content.Content.Size, cancellationToken);
                foreach (ContentPiece piece in content.Pieces)
                {
                    if (piece.Offset < position)
                    {
                        // Several pieces in one member, or members in another order than their contents.
                        await range.DisposeAsync();
                        range = await open(piece.Offset, end - piece.Offset, cancellationToken);
                    }
                    else
                    {
                        await SkipAsync(range, piece.Offset - position, buffer, cancellationToken);
                    }

                    await ReadPieceAsync(range, piece, sink, buffer, cancellationToken);
                    position = piece.End;
                }

                await sink.CompleteAsync(content.Content.Digest, cancellationToken);
            }
        }
        catch (InvalidDataException e)
        {
            throw LayerFailures.Malformed($"its table of contents leads to bytes that are no gzip data ({e.Message.TrimEnd('.')})", e);
        }
        finally
        {
            await range.DisposeAsync();
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static async Task ReadPieceAsync(Stream range, ContentPiece piece, IContentSink sink, byte[] buffer, CancellationToken cancellationToken)
    {
        await using MemberStream member = new(range, piece.End - piece.Offset);
        await using (GZipStream raw = new(member, CompressionMode.Decompress, leaveOpen: true))
        {
            await SkipAsync(raw, piece.InnerOffset, buffer, cancellationToken);
            for (long left = piece.Length; left > 0;)
            {
                int read = await raw.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), cancellationToken);
                if (read == 0)
                {
                    throw LayerFailures.Malformed($"the member at {piece.Offset} is shorter than its table of contents says");
                }

                await sink.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                left -= read;
            }
        }

        // The decompressor stops where the content does; padding and headers of the next file follow.
        await SkipAsync(member, member.Left, buffer, cancellationToken);
    }

    private static async Task SkipAsync(Stream stream, long count, byte[] buffer, CancellationToken cancellationToken)
    {
        while (count > 0)
        {
            int read = await stream.ReadAsync(buffer.AsMemory(0, (int)Math.Min(count, buffer.Length)), cancellationToken);
            if (read == 0)
            {
                throw LayerFailures.Malformed("a member of it is shorter than its table of contents says");
            }

            count -= read;
        }
    }

    /// <summary>The next <paramref name="length"/> bytes of a stream that stays the caller's.</summary>
    private sealed class MemberStream(Stream range, long length) : ForwardReadStream
    {
        public long Left { get; private set; } = length;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (Left == 0)
            {
                return 0;
            }

            int read = await range.ReadAsync(buffer[..(int)Math.Min(buffer.Length, Left)], cancellationToken);
            Left -= read;
            return read;
        }
    }
}
