using Starlight.Domain.Bundles;
using Starlight.Domain.Content;

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
/// varint  bases: images that the worker has and contents are patched from
///         32      per base: sha256 of its filesystem image
///         varint  length of its canonical content list
/// varint  contents with a base
///         varint  per content: contents between the last one with a base and this one
///         varint  base
///         zigzag  position in the base's canonical content list − (position of the last content of this base named here + 1)
/// </code>
/// </remarks>
internal sealed class PlanUnit
{
    private PlanUnit(
        int[] canonicalCounts, (int Image, int Index)[] contents, int[] blockLengths, int hotContentCount, int hotBlockCount, long rawLength, PatchBase[] bases, NamedPatch[] patches)
    {
        CanonicalCounts = canonicalCounts;
        Contents = contents;
        BlockLengths = blockLengths;
        HotContentCount = hotContentCount;
        HotBlockCount = hotBlockCount;
        RawLength = rawLength;
        Bases = bases;
        Patches = patches;
    }

    public int[] CanonicalCounts { get; }

    public (int Image, int Index)[] Contents { get; }

    public int[] BlockLengths { get; }

    public int HotContentCount { get; }

    public int HotBlockCount { get; }

    public long RawLength { get; }

    public PatchBase[] Bases { get; }

    /// <summary>Ascending by position.</summary>
    public NamedPatch[] Patches { get; }

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

        WritePatches(payload, plan);
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

        PatchBase[] bases = ReadBases(ref reader);
        NamedPatch[] patches = ReadPatches(ref reader, contents, bases);
        reader.End();
        return new PlanUnit(counts, [.. named], lengths, hotContents, hotBlocks, rawLength, bases, patches);
    }

    private static void WritePatches(PayloadWriter payload, DeltaPlan plan)
    {
        payload.VarInt(plan.Bases.Count);
        foreach (PatchBase image in plan.Bases)
        {
            payload.Raw(image.Filesystem.ToArray());
            payload.VarInt(image.CanonicalCount);
        }

        payload.VarInt(plan.Patches.Count);
        int[] next = new int[plan.Bases.Count];
        int position = 0;
        foreach (PlannedPatch patch in plan.Patches)
        {
            payload.VarInt(patch.Position - position);
            payload.VarInt(patch.Image);
            payload.ZigZag(patch.Index - next[patch.Image]);
            position = patch.Position + 1;
            next[patch.Image] = patch.Index + 1;
        }
    }

    private static PatchBase[] ReadBases(ref PayloadReader reader)
    {
        PatchBase[] bases = new PatchBase[reader.Count(BundleFormat.MaxImages, "the number of bases")];
        for (int i = 0; i < bases.Length; i++)
        {
            bases[i] = new PatchBase(new Digest(reader.Raw(Digest.Size).Span), reader.Count(int.MaxValue, "the length of a content list"));
        }

        return bases;
    }

    private static NamedPatch[] ReadPatches(ref PayloadReader reader, int contents, PatchBase[] bases)
    {
        // Each takes at least three bytes.
        NamedPatch[] patches = new NamedPatch[reader.Count(bases.Length == 0 ? 0 : Math.Min(contents, reader.Left / 3), "the number of contents with a base")];
        int[] next = new int[bases.Length];
        int position = 0;
        for (int i = 0; i < patches.Length; i++)
        {
            position += position < contents ? reader.Count(contents - 1 - position, "the position of a content with a base") : throw new FormatException("there are more bases than contents");
            int image = reader.Count(bases.Length - 1, "the number of a base");
            long index = (long)next[image] + reader.ZigZag();
            if (index < 0 || index >= bases[image].CanonicalCount)
            {
                throw new FormatException($"content {index} of base {image} does not exist");
            }

            patches[i] = new NamedPatch(position++, image, (int)index);
            next[image] = (int)index + 1;
        }

        return patches;
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

/// <summary>A content that may be made from one of a base.</summary>
/// <param name="Position">Of the content in stream order.</param>
/// <param name="Image">Number of the base.</param>
/// <param name="Index">Position in the base's canonical content list.</param>
internal readonly record struct NamedPatch(int Position, int Image, int Index);
