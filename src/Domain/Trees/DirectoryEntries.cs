using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace Starlight.Domain.Trees;

/// <summary>
/// The names of a directory in byte order with the inodes they stand for. Immutable; two sorted arrays, because a tree of a million
/// names has to stay small and is read far more often than it is built.
/// </summary>
public sealed class DirectoryEntries : IReadOnlyList<KeyValuePair<PosixPath, Inode>>
{
    private readonly PosixPath[] _names;
    private readonly Inode[] _inodes;

    private DirectoryEntries(PosixPath[] names, Inode[] inodes)
    {
        _names = names;
        _inodes = inodes;
    }

    public static DirectoryEntries Empty { get; } = new([], []);

    public int Count => _names.Length;

    /// <summary>In byte order.</summary>
    public ReadOnlySpan<PosixPath> Names => _names;

    /// <summary>In the order of <see cref="Names"/>.</summary>
    public ReadOnlySpan<Inode> Inodes => _inodes;

    public KeyValuePair<PosixPath, Inode> this[int index] => new(_names[index], _inodes[index]);

    /// <summary>From pairs in any order. A name that occurs twice is an <see cref="ArgumentException"/>.</summary>
    public static DirectoryEntries Create(IEnumerable<KeyValuePair<PosixPath, Inode>> entries)
    {
        KeyValuePair<PosixPath, Inode>[] pairs = [.. entries];
        return Take(Array.ConvertAll(pairs, static pair => pair.Key), Array.ConvertAll(pairs, static pair => pair.Value));
    }

    /// <summary>Owns, and sorts if need be, the arrays it is given. A name that occurs twice is an <see cref="ArgumentException"/>.</summary>
    public static DirectoryEntries Take(PosixPath[] names, Inode[] inodes)
    {
        if (names.Length != inodes.Length)
        {
            throw new ArgumentException($"{names.Length} names for {inodes.Length} inodes", nameof(names));
        }

        if (names.Length == 0)
        {
            return Empty;
        }

        if (!IsAscending(names))
        {
            Array.Sort(names, inodes);
            if (!IsAscending(names))
            {
                throw new ArgumentException("a name occurs twice in a directory", nameof(names));
            }
        }

        return new DirectoryEntries(names, inodes);
    }

    public bool TryGetValue(PosixPath name, [NotNullWhen(true)] out Inode? inode)
    {
        int index = Array.BinarySearch(_names, name);
        inode = index < 0 ? null : _inodes[index];
        return inode is not null;
    }

    public IEnumerator<KeyValuePair<PosixPath, Inode>> GetEnumerator()
    {
        for (int i = 0; i < _names.Length; i++)
        {
            yield return this[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static bool IsAscending(PosixPath[] names)
    {
        for (int i = 1; i < names.Length; i++)
        {
            if (names[i - 1].CompareTo(names[i]) >= 0)
            {
                return false;
            }
        }

        return true;
    }
}
