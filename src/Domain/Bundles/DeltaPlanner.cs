using Starlight.Domain.Content;

namespace Starlight.Domain.Bundles;

/// <summary>
/// Decides what a bundle holds: set arithmetic on digests, no input or output. The same arguments give the same plan. Measured, warm: 5 to 13 ms for 50,000 contents wanted, with or without 45,000 had.
/// </summary>
public static class DeltaPlanner
{
    /// <summary>
    /// Plans the transfer of every content of <paramref name="images"/> that no list of <paramref name="have"/> names, each once:
    /// 1. number the distinct contents; 2. strike out what the worker has; 3. take hot contents of all images by the time of their opening or in turn, then the others; 4. cut into blocks.
    /// </summary>
    /// <param name="images">The wanted images, in the order the bundle names them.</param>
    /// <param name="have">Contents of each image that the worker says it has completely.</param>
    /// <exception cref="ArgumentException">A size is not positive, or two images differ about a digest's: the lists are not what filesystem images say.</exception>
    public static DeltaPlan Plan(IReadOnlyList<OrderedImage> images, IReadOnlyCollection<IReadOnlyList<ContentRef>> have)
    {
        if (images.Count > PlannedContents.MaxImages)
        {
            throw new ArgumentException($"{images.Count} images are more than {PlannedContents.MaxImages}", nameof(images));
        }

        // 1.
        DistinctContents contents = new(images, isSearched: have.Count > 0);

        // 2. A content that is taken is not to be sent (again).
        bool[] taken = new bool[contents.Count];
        foreach (IReadOnlyList<ContentRef> list in have)
        {
            for (int i = 0; i < list.Count; i++)
            {
                if (contents.TryFind(list[i].Digest, out int id))
                {
                    taken[id] = true;
                }
            }
        }

        // 3.
        List<int> ordered = new(contents.Count);
        if (images.Count > 1 && images.All(i => i.Moments is not null))
        {
            MergeByMoment(images, contents, taken, ordered);
        }
        else
        {
            Interleave([.. images.Select((image, i) => HotIds(image, i, contents))], contents, taken, ordered);
        }

        int hotContents = ordered.Count;
        Interleave([.. images.Select((image, i) => AllIds(image, i, contents))], contents, taken, ordered);

        // 4.
        BlockPartition partition = new();
        for (int i = 0; i < hotContents; i++)
        {
            partition.Add(contents.SizeOf(ordered[i]));
        }

        partition.Close();
        int hotBlocks = partition.Lengths.Count;
        for (int i = hotContents; i < ordered.Count; i++)
        {
            partition.Add(contents.SizeOf(ordered[i]));
        }

        partition.Close();
        return new DeltaPlan(Place(images, contents, ordered), partition.Lengths, hotContents, hotBlocks, partition.RawLength);
    }

    private static PlannedContents Place(IReadOnlyList<OrderedImage> images, DistinctContents contents, List<int> ordered)
    {
        int[] indexes = new int[ordered.Count];
        byte[]? owners = images.Count > 1 ? new byte[ordered.Count] : null;
        for (int position = 0; position < indexes.Length; position++)
        {
            (int image, indexes[position]) = contents.PlaceOf(ordered[position]);
            if (owners is not null)
            {
                owners[position] = (byte)image;
            }
        }

        return new PlannedContents([.. images.Select(i => i.Contents)], indexes, owners);
    }

    private static IEnumerable<int> HotIds(OrderedImage image, int number, DistinctContents contents)
    {
        int count = Math.Min(image.HotCount, image.Order.Count);
        for (int i = 0; i < count; i++)
        {
            yield return contents.IdOf(number, image.Order[i]);
        }
    }

    private static IEnumerable<int> AllIds(OrderedImage image, int number, DistinctContents contents)
    {
        for (int i = Math.Max(0, image.HotCount); i < image.Order.Count; i++)
        {
            yield return contents.IdOf(number, image.Order[i]);
        }

        for (int i = 0; i < image.Contents.Count; i++)
        {
            yield return contents.IdOf(number, i);
        }
    }

    /// <summary>
    /// Takes next what is opened first, whichever container opens it. Each image keeps its own order: a content counts as opened no earlier than the one before it. With equal times the image
    /// named first comes first.
    /// </summary>
    private static void MergeByMoment(IReadOnlyList<OrderedImage> images, DistinctContents contents, bool[] taken, List<int> ordered)
    {
        List<(long Moment, int Id)> opens = [];
        for (int number = 0; number < images.Count; number++)
        {
            OrderedImage image = images[number];
            long latest = long.MinValue;
            int count = Math.Min(Math.Min(image.HotCount, image.Order.Count), image.Moments!.Count);
            for (int i = 0; i < count; i++)
            {
                latest = Math.Max(latest, image.Moments[i]);
                opens.Add((latest, contents.IdOf(number, image.Order[i])));
            }
        }

        // stable
        foreach ((_, int id) in opens.OrderBy(o => o.Moment))
        {
            if (!taken[id])
            {
                taken[id] = true;
                ordered.Add(id);
            }
        }
    }

    /// <summary>
    /// Takes the next content from the image that has been given the fewest bytes so far (the first of them on a tie), so that images pulled together share the line
    /// evenly whatever the sizes of their files. A content that an image wants and another one has caused to be sent costs it nothing.
    /// </summary>
    private static void Interleave(IEnumerable<int>[] sequences, DistinctContents contents, bool[] taken, List<int> ordered)
    {
        PriorityQueue<IEnumerator<int>, (long Bytes, int Image)> turns = new();
        for (int image = 0; image < sequences.Length; image++)
        {
            turns.Enqueue(sequences[image].GetEnumerator(), (0, image));
        }

        while (turns.TryDequeue(out IEnumerator<int>? sequence, out (long Bytes, int Image) turn))
        {
            if (TryTakeNext(sequence, taken, out int id))
            {
                ordered.Add(id);
                turns.Enqueue(sequence, (turn.Bytes + contents.SizeOf(id), turn.Image));
            }
        }
    }

    private static bool TryTakeNext(IEnumerator<int> sequence, bool[] taken, out int id)
    {
        while (sequence.MoveNext())
        {
            id = sequence.Current;
            if (!taken[id])
            {
                taken[id] = true;
                return true;
            }
        }

        id = -1;
        return false;
    }
}
