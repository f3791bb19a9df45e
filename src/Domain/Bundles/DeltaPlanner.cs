using System.Runtime.InteropServices;
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
    /// <exception cref="ArgumentException">A size is not positive, or one digest has two sizes: the lists are not what filesystem images say.</exception>
    public static DeltaPlan Plan(IReadOnlyList<OrderedImage> images, IReadOnlyCollection<IReadOnlyList<ContentRef>> have)
    {
        // 1.
        Dictionary<Digest, int> ids = new(images.Sum(i => i.Contents.Count));
        List<PlannedContent> contents = [];
        for (int image = 0; image < images.Count; image++)
        {
            AddContents(images[image], image, ids, contents);
        }

        // 2. A content that is taken is not to be sent (again).
        bool[] taken = new bool[contents.Count];
        foreach (IReadOnlyList<ContentRef> list in have)
        {
            for (int i = 0; i < list.Count; i++)
            {
                if (ids.TryGetValue(list[i].Digest, out int id))
                {
                    taken[id] = true;
                }
            }
        }

        // 3.
        List<PlannedContent> ordered = new(contents.Count);
        if (images.Count > 1 && images.All(i => i.Moments is not null))
        {
            MergeByMoment(images, ids, contents, taken, ordered);
        }
        else
        {
            Interleave([.. images.Select(i => HotIds(i, ids))], contents, taken, ordered);
        }

        int hotContents = ordered.Count;
        Interleave([.. images.Select(i => AllIds(i, ids))], contents, taken, ordered);

        // 4.
        BlockPartition partition = new();
        for (int i = 0; i < hotContents; i++)
        {
            partition.Add(ordered[i].Content.Size);
        }

        partition.Close();
        int hotBlocks = partition.Lengths.Count;
        for (int i = hotContents; i < ordered.Count; i++)
        {
            partition.Add(ordered[i].Content.Size);
        }

        partition.Close();
        return new DeltaPlan([.. images.Select(i => i.Contents.Count)], ordered, partition.Lengths, hotContents, hotBlocks, partition.RawLength);
    }

    private static void AddContents(OrderedImage ordered, int image, Dictionary<Digest, int> ids, List<PlannedContent> contents)
    {
        for (int index = 0; index < ordered.Contents.Count; index++)
        {
            ContentRef content = ordered.Contents[index];
            if (content.Size <= 0)
            {
                throw new ArgumentException($"content {content.Digest} has the size {content.Size}", nameof(ordered));
            }

            ref int id = ref CollectionsMarshal.GetValueRefOrAddDefault(ids, content.Digest, out bool known);
            if (!known)
            {
                id = contents.Count;
                contents.Add(new PlannedContent(content, image, index));
            }
            else if (contents[id].Content.Size != content.Size)
            {
                throw new ArgumentException($"content {content.Digest} has two sizes, {contents[id].Content.Size} and {content.Size}", nameof(ordered));
            }
        }
    }

    private static IEnumerable<int> HotIds(OrderedImage image, Dictionary<Digest, int> ids)
    {
        int count = Math.Min(image.HotCount, image.Order.Count);
        for (int i = 0; i < count; i++)
        {
            if (ids.TryGetValue(image.Order[i], out int id))
            {
                yield return id;
            }
        }
    }

    private static IEnumerable<int> AllIds(OrderedImage image, Dictionary<Digest, int> ids)
    {
        for (int i = Math.Max(0, image.HotCount); i < image.Order.Count; i++)
        {
            if (ids.TryGetValue(image.Order[i], out int id))
            {
                yield return id;
            }
        }

        for (int i = 0; i < image.Contents.Count; i++)
        {
            yield return ids[image.Contents[i].Digest];
        }
    }

    /// <summary>
    /// Takes next what is opened first, whichever container opens it. Each image keeps its own order: a content counts as opened no earlier than the one before it. With equal times the image
    /// named first comes first.
    /// </summary>
    private static void MergeByMoment(IReadOnlyList<OrderedImage> images, Dictionary<Digest, int> ids, List<PlannedContent> contents, bool[] taken, List<PlannedContent> ordered)
    {
        List<(long Moment, int Id)> opens = [];
        foreach (OrderedImage image in images)
        {
            long latest = long.MinValue;
            int count = Math.Min(Math.Min(image.HotCount, image.Order.Count), image.Moments!.Count);
            for (int i = 0; i < count; i++)
            {
                latest = Math.Max(latest, image.Moments[i]);
                if (ids.TryGetValue(image.Order[i], out int id))
                {
                    opens.Add((latest, id));
                }
            }
        }

        // stable
        foreach ((_, int id) in opens.OrderBy(o => o.Moment))
        {
            if (!taken[id])
            {
                taken[id] = true;
                ordered.Add(contents[id]);
            }
        }
    }

    /// <summary>
    /// Takes the next content from the image that has been given the fewest bytes so far (the first of them on a tie), so that images pulled together share the line
    /// evenly whatever the sizes of their files. A content that an image wants and another one has caused to be sent costs it nothing.
    /// </summary>
    private static void Interleave(IEnumerable<int>[] sequences, List<PlannedContent> contents, bool[] taken, List<PlannedContent> ordered)
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
                ordered.Add(contents[id]);
                turns.Enqueue(sequence, (turn.Bytes + contents[id].Content.Size, turn.Image));
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
