using System.Buffers;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles.Patches;

namespace Starlight.Infrastructure.Bundles;

/// <summary>
/// Reads a delta bundle as it arrives (docs/formats/delta-bundle.md):
/// 1. <see cref="OpenAsync"/> reads the header, after which <see cref="Images"/> are complete; 2. the caller decides whether it trusts them;
/// 3. <see cref="BindContents"/> gives the plan its digests; 4. <see cref="ReadContentsAsync"/> hands out contents; 5. if the stream breaks, <see cref="Resume(Stream)"/>
/// and 4. again. Input is not trusted: sizes are bounded before anything is allocated. Used by one task at a time.
/// </summary>
public sealed partial class BundleReader
{
    /// <summary>Bytes are asked for in such steps, so that a stream which only claims to be long costs no memory.</summary>
    private const int HeaderStep = 1 << 20;

    private readonly PlanUnit _plan;
    private readonly KnownBases _bases;
    private ContentRef[]? _contents;

    private BundleReader(Stream stream, int headerLength, IReadOnlyList<BundleImage> images, PlanUnit plan, KnownBases bases)
    {
        _stream = stream;
        _plan = plan;
        _bases = bases;
        _position = _restart = new BundlePosition(0, headerLength);
        HeaderLength = headerLength;
        Images = images;
    }

    /// <summary>Everything about the images but their contents. The filesystem images are what their digests say; manifests and configurations are for the caller to check.</summary>
    public IReadOnlyList<BundleImage> Images { get; }

    /// <summary>Bytes of the bundle before the first block.</summary>
    public int HeaderLength { get; }

    /// <summary>Raw bytes of all contents.</summary>
    public long ContentLength => _plan.RawLength;

    public int BlockCount => _plan.BlockLengths.Length;

    /// <summary>The first so many contents are expected to be opened during start-up.</summary>
    public int HotContentCount => _plan.HotContentCount;

    /// <summary>The hot contents fill the first so many blocks exactly.</summary>
    public int HotBlockCount => _plan.HotBlockCount;

    /// <summary>What the bundle brings, in stream order. Only after <see cref="BindContents"/>.</summary>
    public IReadOnlyList<ContentRef> Contents => _contents ?? throw new InvalidOperationException("BindContents comes first");

    /// <summary>Reads prelude and header of a bundle without patches.</summary>
    /// <inheritdoc cref="OpenAsync(Stream, IBundleBases?, CancellationToken)"/>
    public static Task<BundleReader> OpenAsync(Stream stream, CancellationToken cancellationToken) => OpenAsync(stream, bases: null, cancellationToken);

    /// <summary>Reads prelude and header.</summary>
    /// <param name="stream">The bundle from its first byte. Not disposed; nothing is read ahead.</param>
    /// <param name="bases">What patches can be applied to; null if there is nothing.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    /// <exception cref="FailureException">
    /// DataCorrupt <c>Bundle.NotABundle</c> or <c>Bundle.Corrupt</c>, Unsupported <c>Bundle.TooNew</c> or <c>Bundle.TooOld</c>, ResourceExhausted <c>Bundle.TooLarge</c>, Unavailable
    /// <c>Bundle.Truncated</c>, FailedPrecondition <c>Bundle.BaseIncomplete</c>.
    /// </exception>
    public static async Task<BundleReader> OpenAsync(Stream stream, IBundleBases? bases, CancellationToken cancellationToken)
    {
        byte[] fixedPart = new byte[Prelude.Length];
        await ReadExactlyAsync(stream, fixedPart, 0, "within its prelude", cancellationToken);
        Prelude prelude = Prelude.Read(fixedPart);
        byte[] header = await ReadHeaderAsync(stream, prelude, cancellationToken);
        if (Digest.Of(header) != prelude.HeaderDigest)
        {
            throw BundleErrors.Corrupt(Prelude.Length, "the header has another digest than the prelude says");
        }

        try
        {
            return Parse(stream, prelude, header, new KnownBases(bases));
        }
        catch (Exception e) when (e is FormatException or FailureException { Error.Code: "Zstd.Corrupt" })
        {
            throw BundleErrors.Corrupt(Prelude.Length, e.Message, e);
        }
    }

    /// <summary>Looks up what the plan names. To be called once, after the caller has decided to trust the filesystem images.</summary>
    /// <param name="readContents">The canonical content list of a filesystem image: <c>IFilesystemImages.ReadContents</c>.</param>
    /// <exception cref="FailureException">DataCorrupt <c>Bundle.ContentsDisagree</c>, FailedPrecondition <c>Bundle.BaseIncomplete</c>; what <paramref name="readContents"/> throws.</exception>
    public IReadOnlyList<ContentRef> BindContents(Func<ReadOnlyMemory<byte>, IReadOnlyList<ContentRef>> readContents)
    {
        IReadOnlyList<ContentRef>[] canonical = [.. Images.Select(i => readContents(i.FilesystemImage))];
        for (int image = 0; image < canonical.Length; image++)
        {
            if (canonical[image].Count != _plan.CanonicalCounts[image])
            {
                throw BundleErrors.ContentsDisagree($"image {image} has {canonical[image].Count} contents, the plan says {_plan.CanonicalCounts[image]}");
            }
        }

        ContentRef[] contents = new ContentRef[_plan.Contents.Length];
        HashSet<Digest> seen = new(contents.Length);
        long length = 0;
        for (int i = 0; i < contents.Length; i++)
        {
            contents[i] = canonical[_plan.Contents[i].Image][_plan.Contents[i].Index];
            length = contents[i].Size > 0 && contents[i].Size <= _plan.RawLength - length && seen.Add(contents[i].Digest)
                ? length + contents[i].Size
                : throw BundleErrors.ContentsDisagree($"content {contents[i].Digest} is named twice or does not fit into the blocks");
        }

        if (length != _plan.RawLength)
        {
            throw BundleErrors.ContentsDisagree($"the contents have {length} bytes, the blocks {_plan.RawLength}");
        }

        _bases.Bind(_plan);
        return _contents = contents;
    }

    private static async Task<byte[]> ReadHeaderAsync(Stream stream, Prelude prelude, CancellationToken cancellationToken)
    {
        int length = prelude.HeaderLength - Prelude.Length;
        byte[] header = new byte[Math.Min(length, HeaderStep)];
        for (int read = 0; read < length; read = header.Length)
        {
            if (read > 0)
            {
                Array.Resize(ref header, (int)Math.Min(length, header.Length * 2L));
            }

            await ReadExactlyAsync(stream, header.AsMemory(read), Prelude.Length + read, $"within its header of {prelude.HeaderLength} bytes", cancellationToken);
        }

        return header;
    }

    private static BundleReader Parse(Stream stream, Prelude prelude, byte[] header, KnownBases bases)
    {
        List<BundleImage> images = new(prelude.Images);
        ReadOnlyMemory<byte> rest = header;
        long raw = 0;
        for (int i = 0; i < prelude.Images; i++)
        {
            images.Add(ImageUnit.Decode(rest, bases.FindFilesystem, out int length, out long rawLength));
            rest = rest[length..];
            raw += rawLength;
            if (raw > BundleFormat.MaxUnitsLength)
            {
                throw BundleErrors.TooLarge("length of all image units", raw, BundleFormat.MaxUnitsLength);
            }
        }

        ReadOnlyMemory<byte> payload = HeaderUnit.Decode(rest, HeaderUnitKind.Plan, BundleFormat.MaxPlanLength, out int planLength);
        return planLength == rest.Length
            ? new BundleReader(stream, prelude.HeaderLength, images, PlanUnit.DecodePayload(payload, prelude.Images, prelude.Blocks), bases)
            : throw new FormatException("something follows the plan");
    }

    /// <param name="stream">What is read.</param>
    /// <param name="buffer">Filled completely.</param>
    /// <param name="offset">Of the first byte in the bundle.</param>
    /// <param name="where">For the message if the stream ends too early.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    private static async Task ReadExactlyAsync(Stream stream, Memory<byte> buffer, long offset, string where, CancellationToken cancellationToken)
    {
        int read = 0;
        while (read < buffer.Length)
        {
            int count;
            try
            {
                count = await stream.ReadAsync(buffer[read..], cancellationToken);
            }
            catch (IOException e)
            {
                throw BundleErrors.Truncated(offset + read, where, e);
            }

            if (count == 0)
            {
                throw BundleErrors.Truncated(offset + read, where);
            }

            read += count;
        }
    }
}
