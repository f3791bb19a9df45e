using Starlight.Domain.Content;

namespace Starlight.Domain.Bundles;

/// <summary>How much of two names has to agree.</summary>
internal enum NameLikeness
{
    SamePath,
    SamePathShape,
    SameNameShape,
}

/// <summary>
/// The names of an image's contents, ordered for looking up what resembles a name. Immutable; what a lookup needs is sorted when it is needed. At most 36 bytes for each content: 360 KB for an image of 10,000.
/// </summary>
public sealed class ContentNames
{
    private readonly ContentName[] _names;

    /// <summary>For each kind of likeness the positions of all contents, ascending by that hash and then by position. Null until somebody looks for it: images that are wanted are not searched.</summary>
    private readonly int[]?[] _sorted = new int[(int)NameLikeness.SameNameShape + 1][];

    /// <param name="names">One for each content, in canonical order: its first name.</param>
    public ContentNames(IReadOnlyList<ContentName> names)
    {
        _names = [.. names];
    }

    public int Count => _names.Length;

    public ContentName this[int index] => _names[index];

    /// <summary>Bytes of memory for each content, at most.</summary>
    public const long BytesOfOne = 36;

    /// <summary>Positions of the contents whose name is like <paramref name="name"/>, ascending.</summary>
    internal ReadOnlySpan<int> Find(ContentName name, NameLikeness likeness)
    {
        ulong key = Key(name, likeness);
        ReadOnlySpan<int> sorted = Volatile.Read(ref _sorted[(int)likeness]) ?? Sort(likeness);
        int from = Bound(sorted, key, likeness, inclusive: false);
        return sorted[from..Bound(sorted, key, likeness, inclusive: true)];
    }

    private static ulong Key(ContentName name, NameLikeness likeness) => likeness switch
    {
        NameLikeness.SamePath => name.Path,
        NameLikeness.SamePathShape => name.PathShape,
        _ => name.NameShape,
    };

    /// <summary>How many entries have a smaller key, or one that is not larger.</summary>
    private int Bound(ReadOnlySpan<int> sorted, ulong key, NameLikeness likeness, bool inclusive)
    {
        int low = 0;
        int high = sorted.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            ulong found = Key(_names[sorted[middle]], likeness);
            if (found < key || (inclusive && found == key))
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    private int[] Sort(NameLikeness likeness)
    {
        ulong[] keys = new ulong[_names.Length];
        int[] positions = new int[_names.Length];
        for (int i = 0; i < keys.Length; i++)
        {
            (keys[i], positions[i]) = (Key(_names[i], likeness), i);
        }

        Array.Sort(keys, positions);
        for (int from = 0; from < keys.Length;)
        {
            int to = from + 1;
            while (to < keys.Length && keys[to] == keys[from])
            {
                to++;
            }

            positions.AsSpan(from, to - from).Sort();
            from = to;
        }

        // Two who sort at once get the same.
        Volatile.Write(ref _sorted[(int)likeness], positions);
        return positions;
    }
}

/// <summary>An image that the worker has completely.</summary>
/// <param name="Filesystem">Digest of its filesystem image: what a bundle names it by.</param>
/// <param name="Contents">In canonical order.</param>
/// <param name="LazyNames">Gives <see cref="Names"/>; read when somebody needs them.</param>
public sealed record KnownImage(Digest Filesystem, IReadOnlyList<ContentRef> Contents, Lazy<ContentNames> LazyNames)
{
    public KnownImage(Digest filesystem, IReadOnlyList<ContentRef> contents, ContentNames names)
        : this(filesystem, contents, new Lazy<ContentNames>(names))
    {
    }

    /// <summary>Parallel to <see cref="Contents"/>.</summary>
    public ContentNames Names => LazyNames.Value;
}
