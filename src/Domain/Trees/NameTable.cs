using System.Text;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Trees;

/// <summary>
/// What each of a directory's names stands for, found by name. Small, because a layer may have a million: 8 to 16 bytes a name besides the name itself and <typeparamref name="T"/>. Entries are numbered in the order
/// of their first addition and may be changed and removed while they are gone through. Not safe for concurrent use.
/// </summary>
internal sealed class NameTable<T>
{
    /// <summary>So few names are looked through one by one.</summary>
    private const int MaxUnindexed = 8;

    private readonly NameList _names = new();

    /// <summary>Where each name begins; the complement for a name that was removed.</summary>
    private int[] _starts = [];

    private T[] _values = [];

    /// <summary>Open addressing with linear probing: number of an entry plus one, 0 is free. Removed entries stay in it. Null while there are few.</summary>
    private int[]? _slots;

    /// <summary>Entries, removed ones too.</summary>
    public int Count { get; private set; }

    public NameList Names => _names;

    /// <summary>Whether the entry with this number is there; else it was removed.</summary>
    public bool Has(int entry) => _starts[entry] >= 0;

    /// <summary>Where the entry's name begins in <see cref="Names"/>.</summary>
    public int Start(int entry) => _starts[entry] < 0 ? ~_starts[entry] : _starts[entry];

    public ReadOnlySpan<byte> Name(int entry) => _names[Start(entry)];

    public ref T Value(int entry) => ref _values[entry];

    public bool TryGet(ReadOnlySpan<byte> name, out T value)
    {
        int entry = Find(name);
        bool found = entry >= 0 && Has(entry);
        value = found ? _values[entry] : default!;
        return found;
    }

    /// <summary>What the name stands for, to be set; a default that is added if it was not there.</summary>
    public ref T GetOrAdd(scoped ReadOnlySpan<byte> name, out bool existed)
    {
        int entry = Find(name);
        existed = entry >= 0 && Has(entry);
        if (entry < 0)
        {
            entry = Append(name);
        }
        else if (!existed)
        {
            _starts[entry] = ~_starts[entry];
            _values[entry] = default!;
        }

        return ref _values[entry];
    }

    public void Remove(int entry)
    {
        if (Has(entry))
        {
            _starts[entry] = ~_starts[entry];
            _values[entry] = default!;
        }
    }

    public void Remove(ReadOnlySpan<byte> name)
    {
        if (Find(name) is >= 0 and var entry)
        {
            Remove(entry);
        }
    }

    /// <summary>Gives back what was reserved for more.</summary>
    public void Trim()
    {
        _names.Trim();
        Array.Resize(ref _starts, Count);
        Array.Resize(ref _values, Count);
    }

    private int Find(scoped ReadOnlySpan<byte> name)
    {
        if (_slots is null)
        {
            for (int entry = 0; entry < Count; entry++)
            {
                if (Name(entry).SequenceEqual(name))
                {
                    return entry;
                }
            }

            return -1;
        }

        for (uint slot = Hash(name); ; slot++)
        {
            int entry = _slots[slot & (uint)(_slots.Length - 1)] - 1;
            if (entry < 0 || Name(entry).SequenceEqual(name))
            {
                return entry;
            }
        }
    }

    private int Append(scoped ReadOnlySpan<byte> name)
    {
        if (Count == _starts.Length)
        {
            int capacity = (int)Math.Min(Array.MaxLength, 4 + (Count * 3L / 2));
            Array.Resize(ref _starts, capacity);
            Array.Resize(ref _values, capacity);
        }

        int entry = Count++;
        _starts[entry] = _names.Add(name);
        if (Count > MaxUnindexed)
        {
            if (_slots is null || Count > _slots.Length / 4 * 3)
            {
                Index();
            }
            else
            {
                Place(_slots, entry);
            }
        }

        return entry;
    }

    private void Index()
    {
        int[] slots = new int[Math.Max(MaxUnindexed * 4, (_slots?.Length ?? 0) * 2)];
        for (int entry = 0; entry < Count; entry++)
        {
            Place(slots, entry);
        }

        _slots = slots;
    }

    private void Place(int[] slots, int entry)
    {
        uint slot = Hash(Name(entry)) & (uint)(slots.Length - 1);
        while (slots[slot] != 0)
        {
            slot = (slot + 1) & (uint)(slots.Length - 1);
        }

        slots[slot] = entry + 1;
    }

    private static uint Hash(scoped ReadOnlySpan<byte> name) => (uint)SeededHash.Of(name);
}

/// <summary>Looks names up that come as text of one char per byte (<see cref="PosixPath.Raw"/>).</summary>
internal static class NameTableText
{
    private const int Short = 256;

    public static bool TryGet<T>(this NameTable<T> table, ReadOnlySpan<char> name, out T value) => table.TryGet(Bytes(name, stackalloc byte[Short]), out value);

    public static ref T GetOrAdd<T>(this NameTable<T> table, ReadOnlySpan<char> name, out bool existed) => ref table.GetOrAdd(Bytes(name, stackalloc byte[Short]), out existed);

    public static void Remove<T>(this NameTable<T> table, ReadOnlySpan<char> name) => table.Remove(Bytes(name, stackalloc byte[Short]));

    /// <summary>The bytes of a name, in <paramref name="buffer"/> if it is short.</summary>
    public static ReadOnlySpan<byte> Bytes(ReadOnlySpan<char> name, Span<byte> buffer)
    {
        Span<byte> bytes = name.Length <= buffer.Length ? buffer[..name.Length] : new byte[name.Length];
        Encoding.Latin1.GetBytes(name, bytes);
        return bytes;
    }
}
