using System.Security.Cryptography;
using Starlight.Application.Telemetry;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Bundles;

/// <summary>Opens a content for sending. The stream gives exactly the content's bytes and is disposed by the writer; contents are asked for in stream order, one at a time.</summary>
public delegate ValueTask<Stream> OpenContent(ContentRef content, CancellationToken cancellationToken);

/// <summary>
/// Writes delta bundles (docs/formats/delta-bundle.md). The same units, plan, contents and level give the same bytes with the same libzstd, however many cores compress.
/// </summary>
public static class BundleWriter
{
    /// <summary>
    /// Default level of blocks. Measured on 125 MB of a Debian /usr (docs/formats/delta-bundle.md): 18 % fewer bytes than gzip -6 per file; two cores feed a line of
    /// 300 Mbit/s. Level 3 is three times as fast and costs 7 % more bytes, level 9 saves 1 %.
    /// </summary>
    public const int DefaultLevel = 6;

    /// <summary>By <see cref="BlockKind"/>; made once, because there is a measurement per block.</summary>
    private static readonly KeyValuePair<string, object?>[] KindTags = [new("kind", "end"), new("kind", "block"), new("kind", "raw"), new("kind", "patch")];

    /// <summary>
    /// Writes a whole bundle:
    /// 1. prelude and header, flushed at once; 2. meanwhile contents are read and verified, and blocks compressed ahead on other threads; 3. blocks in order, each flushed;
    /// 4. the trailer. Memory is bounded (<see cref="BlockCompression"/>).
    /// </summary>
    /// <param name="output">Where the bundle goes, from its beginning. Not disposed.</param>
    /// <param name="imageUnits">Made by <see cref="ImageUnit"/>, in the order of the images that <paramref name="plan"/> was made for.</param>
    /// <param name="plan">What to send.</param>
    /// <param name="open">Where contents come from, those that the worker has too.</param>
    /// <param name="level">zstd level of blocks and plan; 0 stores and makes no patches.</param>
    /// <param name="scratch">Directory for old contents that are too large for memory; null for the system's.</param>
    /// <param name="memory">Shared with other builds: the blocks wait for their part of it, the header does not; null for as much as it takes.</param>
    /// <param name="cancellationToken">Stops at once; what was written so far is a truncated bundle.</param>
    /// <exception cref="FailureException">DataCorrupt <c>Bundle.ContentMismatch</c> if a content is not what its name says; what <paramref name="open"/> throws.</exception>
    public static async Task WriteAsync(
        Stream output,
        IReadOnlyList<ImageUnits> imageUnits,
        DeltaPlan plan,
        OpenContent open,
        int level = DefaultLevel,
        string? scratch = null,
        BuildMemory? memory = null,
        CancellationToken cancellationToken = default)
    {
        if (imageUnits.Count != plan.CanonicalCounts.Count || imageUnits.Count > BundleFormat.MaxImages)
        {
            throw new ArgumentException($"{imageUnits.Count} image units for {plan.CanonicalCounts.Count} images; {BundleFormat.MaxImages} are the limit", nameof(imageUnits));
        }

        // 1. is begun before 2., so that the header is on its way while the first blocks are being compressed.
        (byte[] prelude, byte[] planUnit, long offset) = EncodeHeader(imageUnits, plan, level);
        Task header = WriteHeaderAsync(output, prelude, imageUnits, planUnit, cancellationToken);

        // 2. Who may have to wait for memory has the header out before.
        if (memory is not null)
        {
            await header;
        }

        using IDisposable? share = memory is null ? null : await memory.TakeAsync(BuildMemory.Of(plan), cancellationToken);
        await using BlockCompression blocks = BlockCompression.Start(plan, open, level, scratch ?? Path.GetTempPath(), cancellationToken);
        await header;

        // 3.
        await foreach (CompressedBlock block in blocks.ReadAllAsync(cancellationToken))
        {
            using (block)
            {
                await output.WriteAsync(block.Record, cancellationToken);
                await output.FlushAsync(cancellationToken);
                offset += block.Record.Length;
                ProxyTelemetry.BundleBytes.Add(block.Record.Length, KindTags[block.Record.Span[0]]);
            }
        }

        // 4.
        byte[] trailer = new byte[BlockRecord.TrailerLength];
        BlockRecord.WriteTrailer(trailer, offset + trailer.Length);
        await output.WriteAsync(trailer, cancellationToken);
        await output.FlushAsync(cancellationToken);
    }

    private static (byte[] Prelude, byte[] PlanUnit, long Length) EncodeHeader(IReadOnlyList<ImageUnits> imageUnits, DeltaPlan plan, int level)
    {
        byte[] planUnit = HeaderUnit.Encode(HeaderUnitKind.Plan, PlanUnit.EncodePayload(plan), level);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long length = Prelude.Length + planUnit.Length;
        foreach (ImageUnits unit in imageUnits)
        {
            hash.AppendData(unit.Name.Span);
            hash.AppendData(unit.Image.Span);
            length += unit.Length;
        }

        if (length > BundleFormat.MaxHeaderLength)
        {
            throw BundleErrors.TooLarge("header length", length, BundleFormat.MaxHeaderLength);
        }

        hash.AppendData(planUnit);
        byte[] prelude = new byte[Prelude.Length];
        new Prelude(imageUnits.Count, (int)length, plan.BlockLengths.Count, new Digest(hash.GetHashAndReset())).Write(prelude);
        return (prelude, planUnit, length);
    }

    private static async Task WriteHeaderAsync(
        Stream output, byte[] prelude, IReadOnlyList<ImageUnits> imageUnits, byte[] planUnit, CancellationToken cancellationToken)
    {
        await output.WriteAsync(prelude, cancellationToken);
        foreach (ImageUnits unit in imageUnits)
        {
            await output.WriteAsync(unit.Name, cancellationToken);
            await output.WriteAsync(unit.Image, cancellationToken);
        }

        await output.WriteAsync(planUnit, cancellationToken);
        await output.FlushAsync(cancellationToken);
    }
}
