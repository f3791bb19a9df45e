using Starlight.Domain.Bundles;

namespace Starlight.Infrastructure.Bundles;

/// <summary>Which contents follow, in stream order, and how they are cut into blocks.</summary>
/// <remarks>
/// Contents are named by image and position in the canonical content list of that image's filesystem image: digests do not compress, and the filesystem image names them
/// already. Neighbours in canonical order cost one byte 0 each, which zstd reduces to nothing.
/// <code>
/// varint  per image: length of its canonical content list (a worker that reads another number stops here)
/// varint  contents
/// varint  hot contents
/// runs until all contents are named:
///         varint  image
///         varint  contents in this run, at least 1
///         zigzag  per content: position − (position of the last content named of this image + 1); the first is counted from 0
/// varint  hot blocks
/// varint  per block (the prelude says how many): raw length
/// </code>
/// </remarks>
internal sealed class PlanUnit
{
    private PlanUnit(int[] canonicalCounts, (int Image, int Index)[] contents, int[] blockLengths, int hotContentCount, int hotBlockCount, long rawLength)
    {
        CanonicalCounts = canonicalCounts;
        Contents = contents;
        BlockLengths = blockLengths;
        HotContentCount = hotContentCount;
        HotBlockCount = hotBlockCount;
        RawLength = rawLength;
    }

    public int[] CanonicalCounts { get; }

    public (int Image, int Index)[] Contents { get; }

    public int[] BlockLengths { get; }

    public int HotContentCount { get; }

    public int HotBlockCount { get; }

    public long RawLength { get; }

    public static byte[] EncodePayload(DeltaPlan plan)
    {
        PayloadWriter payload = new(plan.Contents.Count + (plan.BlockLengths.Count * 3) + 64);
        foreach (int count in plan.CanonicalCounts)
        {
            payload.VarInt(count);
        }

        payload.VarInt(plan.Contents.Count);
        payload.VarInt(plan.HotContentCount);
        int[] next = new int[plan.CanonicalCounts.Count];
        for (int i = 0; i < plan.Contents.Count;)
        {
            int image = plan.Contents[i].Image;
            int end = i + 1;
            while (end < plan.Contents.Count && plan.Contents[end].Image == image)
            {
                end++;
            }

            payload.VarInt(image);
            payload.VarInt(end - i);
            for (; i < end; i++)
            {
                payload.ZigZag(plan.Contents[i].Index - next[image]);
                next[image] = plan.Contents[i].Index + 1;
            }
        }

        payload.VarInt(plan.HotBlockCount);
        foreach (int length in plan.BlockLengths)
        {
            payload.VarInt(length);
        }

        return payload.Written.ToArray();
    }

    /// <exception cref="FormatException">The payload is not a plan for so many images and blocks.</exception>
    public static PlanUnit DecodePayload(ReadOnlyMemory<byte> payload, int images, int blocks)
    {
        PayloadReader reader = new(payload);
        int[] counts = new int[images];
        for (int i = 0; i < images; i++)
        {
            counts[i] = reader.Count(int.MaxValue, "the length of a content list");
        }

        // Each content takes at least a byte, and so does each block: nothing is allocated on a mere claim.
        int contents = reader.Count(images == 0 ? 0 : reader.Left, "the number of contents");
        int hotContents = reader.Count(contents, "the number of hot contents");
        List<(int Image, int Index)> named = ReadContents(ref reader, contents, counts);
        int hotBlocks = reader.Count(blocks, "the number of hot blocks");
        if (blocks > reader.Left)
        {
            throw new FormatException("the plan ends inside the block lengths");
        }

        int[] lengths = new int[blocks];
        long rawLength = 0;
        for (int i = 0; i < blocks; i++)
        {
            lengths[i] = reader.Count(BundleFormat.MaxBlockLength, "the length of a block");
            rawLength += lengths[i] > 0 ? lengths[i] : throw new FormatException("a block is empty");
        }

        reader.End();
        return new PlanUnit(counts, [.. named], lengths, hotContents, hotBlocks, rawLength);
    }

    private static List<(int Image, int Index)> ReadContents(ref PayloadReader reader, int contents, int[] counts)
    {
        List<(int Image, int Index)> named = new(contents);
        int[] next = new int[counts.Length];
        while (named.Count < contents)
        {
            int image = reader.Count(counts.Length - 1, "the number of an image");
            int run = reader.Count(contents - named.Count, "the length of a run");
            if (run == 0)
            {
                throw new FormatException("a run is empty");
            }

            for (; run > 0; run--)
            {
                long index = (long)next[image] + reader.ZigZag();
                if (index < 0 || index >= counts[image])
                {
                    throw new FormatException($"content {index} of image {image} does not exist");
                }

                next[image] = (int)index + 1;
                named.Add((image, (int)index));
            }
        }

        return named;
    }
}
