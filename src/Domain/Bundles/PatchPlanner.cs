using Starlight.Domain.Content;

namespace Starlight.Domain.Bundles;

/// <summary>
/// Finds for each content of a plan the earlier version that the worker has, if there is one: by path, then by path without version numbers, then by file name without version
/// numbers; among several the one nearest in size. No input or output; the same arguments give the same plan.
/// </summary>
public static class PatchPlanner
{
    /// <summary>Smaller contents cost little among their neighbours in a block, and naming a base costs two or three bytes. Arbitrary.</summary>
    public const int MinContentLength = 128;

    /// <summary>A base is read as a whole by the proxy; far above the largest file that anybody updates in place.</summary>
    public const long MaxBaseLength = 1L << 30;

    /// <summary>A base of quite another size is another thing that happens to have the name. Arbitrary.</summary>
    private const int MaxSizeRatio = 8;

    /// <summary>A file name that so many files share (<c>__init__.py</c>, <c>changelog.gz</c>) says nothing. Arbitrary.</summary>
    private const int MaxNamesakes = 8;

    /// <summary>Versions of one path differ in a number or two; bounds the work on trees made to be costly. Arbitrary.</summary>
    private const int MaxCandidates = 64;

    /// <summary>The worker names its likeliest relatives first; further ones rarely have what these have not. Bounds the time of planning. Arbitrary.</summary>
    private const int MaxBases = 8;

    /// <summary>So many names tell how much of an image is in another.</summary>
    private const int SampleSize = 256;

    /// <summary>The same plan, with a base for each content that has one.</summary>
    /// <param name="plan">What is to be sent.</param>
    /// <param name="wanted">Names of the contents of the plan's images.</param>
    /// <param name="bases">Images that the worker has, the likeliest relatives first.</param>
    /// <param name="isAvailable">Whether the proxy can read a content: without it no patch can be made.</param>
    public static DeltaPlan AddPatches(DeltaPlan plan, IReadOnlyList<ContentNames> wanted, IReadOnlyList<KnownImage> bases, Predicate<Digest> isAvailable)
    {
        if (bases.Count == 0)
        {
            return plan;
        }

        List<PlannedPatch> patches = [];
        List<KnownImage> used = [];
        Dictionary<int, int> numbers = [];
        for (int position = 0; position < plan.Contents.Count; position++)
        {
            PlannedContent content = plan.Contents[position];
            if (content.Content.Size < MinContentLength
                || Find(content.Content.Size, wanted[content.Image][content.Index], bases, isAvailable) is not { } found)
            {
                continue;
            }

            if (!numbers.TryGetValue(found.Image, out int number))
            {
                numbers.Add(found.Image, number = used.Count);
                used.Add(bases[found.Image]);
            }

            patches.Add(new PlannedPatch(position, bases[found.Image].Contents[found.Index], number, found.Index));
        }

        return plan.With([.. used.Select(b => new PatchBase(b.Filesystem, b.Contents.Count))], patches);
    }

    /// <summary>The image that has most of <paramref name="wanted"/> at the same paths, judged by a sample; null if none has an eighth of it.</summary>
    public static KnownImage? Nearest(IReadOnlyList<ContentRef> wanted, ContentNames names, IReadOnlyList<KnownImage> bases)
    {
        KnownImage? best = null;
        int most = Math.Min(SampleSize, wanted.Count) / 8;
        int step = Math.Max(1, wanted.Count / SampleSize);
        foreach (KnownImage candidate in bases.Take(MaxBases))
        {
            int shared = 0;
            for (int i = 0; i < wanted.Count; i += step)
            {
                foreach (int index in candidate.Names.Find(names[i], NameLikeness.SamePath))
                {
                    shared += candidate.Contents[index].Digest == wanted[i].Digest ? 1 : 0;
                }
            }

            if (shared > most)
            {
                (most, best) = (shared, candidate);
            }
        }

        return best;
    }

    private static (int Image, int Index)? Find(long size, ContentName name, IReadOnlyList<KnownImage> bases, Predicate<Digest> isAvailable)
    {
        for (NameLikeness likeness = NameLikeness.SamePath; likeness <= NameLikeness.SameNameShape; likeness++)
        {
            for (int image = 0; image < bases.Count && image < MaxBases; image++)
            {
                if (Nearest(size, bases[image], bases[image].Names.Find(name, likeness), likeness, isAvailable) is { } index)
                {
                    return (image, index);
                }
            }
        }

        return null;
    }

    private static int? Nearest(long size, KnownImage image, ReadOnlySpan<int> candidates, NameLikeness likeness, Predicate<Digest> isAvailable)
    {
        if (likeness == NameLikeness.SameNameShape && candidates.Length > MaxNamesakes)
        {
            return null;
        }

        int? best = null;
        long distance = long.MaxValue;
        foreach (int index in candidates.Length > MaxCandidates ? candidates[..MaxCandidates] : candidates)
        {
            ContentRef candidate = image.Contents[index];
            long off = Math.Abs(candidate.Size - size);
            if (off < distance
                && candidate.Size <= Math.Min(MaxBaseLength, size * MaxSizeRatio)
                && candidate.Size >= Math.Max(MinContentLength, size / MaxSizeRatio)
                && isAvailable(candidate.Digest))
            {
                (distance, best) = (off, index);
            }
        }

        return best;
    }
}
