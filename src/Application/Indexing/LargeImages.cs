namespace Starlight.Application.Indexing;

/// <summary>What is done for images of very many files only.</summary>
internal static class LargeImages
{
    /// <summary>Contents above which memory is given back between steps and what can be made later is made later: some hundred bytes for each are left over from a step. Arbitrary.</summary>
    public const int Contents = 200_000;

    /// <summary>
    /// A step leaves as much garbage as its result is large, and the collector has no reason to hurry while the machine has memory; the next step would come on top. Takes a tenth of a second
    /// for a million contents.
    /// </summary>
    public static void ReleaseGarbage() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

    /// <inheritdoc cref="ReleaseGarbage()"/>
    /// <param name="contents">Of the image; nothing is done unless it is large.</param>
    public static void ReleaseGarbage(int contents)
    {
        if (contents > Contents)
        {
            ReleaseGarbage();
        }
    }
}
