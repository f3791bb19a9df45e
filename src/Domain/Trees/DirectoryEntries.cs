using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace Starlight.Domain.Trees;

/// <summary>
/// The names of a directory in byte order with the inodes they stand for. Immutable; names lie in one array behind each other, because a tree of a million names has to stay
/// small and is read far more often than it is built.
/// </summary>
public sealed class DirectoryEntries : IReadOnlyList<KeyValuePair<PosixPath, Inode>>
{
    private readonly NameList _names;

    /// <summary>Where each name begins, in the order of the names.</summary>
    private readonly int[] _starts;

    private readonly Inode[] _inodes;

    private DirectoryEntries(NameList names, int[] starts, Inode[] inodes)
    {
        _names = names;
        _starts = starts;
        _inodes = inodes;
    }

    public static DirectoryEntries Empty { get; } = new(new NameList(), [], []);

    public int Count => _starts.Length;

    /// <summary>In the order of the names.</summary>
    public ReadOnlySpan<Inode> Inodes => _inodes;

    public KeyValuePair<PosixPath, Inode> this[int index] => new(PosixPath.FromBytes(Name(index)), _inodes[index]);

    /// <summary>From pairs in any order. A name that occurs twice is an <see cref="ArgumentException"/>.</summary>
    public static DirectoryEntries Create(IEnumerable<KeyValuePair<PosixPath, Inode>> entries)
    {
        Builder builder = new();
        foreach ((PosixPath name, Inode inode) in entries)
        {
            builder.Add(name.ToBytes(), inode);
        }

        return builder.ToEntries();
    }

    /// <summary>Owns, and sorts if need be, the arrays it is given; of <paramref name="names"/> it reads what they name. A name that occurs twice is an <see cref="ArgumentException"/>.</summary>
    /// <param name="names">May hold other names, too.</param>
    /// <param name="starts">Where each name begins in it.</param>
    /// <param name="inodes">What each stands for.</param>
    internal static DirectoryEntries Take(NameList names, int[] starts, Inode[] inodes)
    {
        if (starts.Length != inodes.Length)
        {
            throw new ArgumentException($"{starts.Length} names for {inodes.Length} inodes", nameof(starts));
        }

        if (starts.Length == 0)
        {
            return Empty;
        }

        if (!IsAscending(names, starts))
        {
            Array.Sort(starts, inodes, Comparer<int>.Create((left, right) => NameList.Compare(names, left, right)));
            if (!IsAscending(names, starts))
            {
                throw new ArgumentException("a name occurs twice in a directory", nameof(starts));
            }
        }

        return new DirectoryEntries(names, starts, inodes);
    }

    /// <summary>The bytes of a name. In ascending order.</summary>
    public ReadOnlySpan<byte> Name(int index) => _names[_starts[index]];

    public bool TryGetValue(PosixPath name, [NotNullWhen(true)] out Inode? inode)
    {
        int index = BinarySearch(NameTableText.Bytes(name.Raw, stackalloc byte[256]));
        inode = index < 0 ? null : _inodes[index];
        return inode is not null;
    }

    /// <summary>The position of a name, or the complement of where it would be.</summary>
    public int BinarySearch(ReadOnlySpan<byte> name)
    {
        int low = 0;
        int high = Count - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int order = Name(middle).SequenceCompareTo(name);
            if (order == 0)
            {
                return middle;
            }

            (low, high) = order < 0 ? (middle + 1, high) : (low, middle - 1);
        }

        return ~low;
    }

    public IEnumerator<KeyValuePair<PosixPath, Inode>> GetEnumerator()
    {
        for (int i = 0; i < Count; i++)
        {
            yield return this[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static bool IsAscending(NameList names, int[] starts)
    {
        for (int i = 1; i < starts.Length; i++)
        {
            if (NameList.Compare(names, starts[i - 1], starts[i]) >= 0)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Takes names and inodes one by one. One use.</summary>
    public sealed class Builder
    {
        private readonly NameList _names = new();
        private readonly List<int> _starts = [];
        private readonly List<Inode> _inodes = [];

        public void Add(ReadOnlySpan<byte> name, Inode inode)
        {
            _starts.Add(_names.Add(name));
            _inodes.Add(inode);
        }

        /// <summary>A name that occurs twice is an <see cref="ArgumentException"/>.</summary>
        public DirectoryEntries ToEntries()
        {
            _names.Trim();
            return Take(_names, [.. _starts], [.. _inodes]);
        }
    }
}
