using System.Buffers.Binary;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Trees;

/// <summary>
/// File names one behind the other, each found again by where it begins: a name of 20 bytes takes 21, as a string 64. Added by one thread; what has been added never changes or moves for those who read it.
/// </summary>
internal sealed class NameList
{
    /// <summary>This, instead of a length, announces a length of two bytes.</summary>
    private const byte Long = byte.MaxValue;

    private byte[] _bytes = [];
    private int _length;

    public static int Compare(NameList names, int left, int right) => names[left].SequenceCompareTo(names[right]);

    /// <param name="start">What <see cref="Add"/> gave.</param>
    public ReadOnlySpan<byte> this[int start]
    {
        get
        {
            ReadOnlySpan<byte> bytes = _bytes.AsSpan(start);
            return bytes[0] < Long ? bytes.Slice(1, bytes[0]) : bytes.Slice(3, BinaryPrimitives.ReadUInt16LittleEndian(bytes[1..]));
        }
    }

    /// <summary>Where the name begins.</summary>
    /// <exception cref="ArgumentException">It has more than 65,535 bytes; a path has 4,095 at most.</exception>
    /// <exception cref="FailureException">ResourceExhausted <c>Layer.TooManyNames</c>.</exception>
    public int Add(ReadOnlySpan<byte> name)
    {
        if (name.Length > ushort.MaxValue)
        {
            throw new ArgumentException($"a name of {name.Length} bytes", nameof(name));
        }

        long total = (long)_length + name.Length + (name.Length < Long ? 1 : 3);
        int needed = total <= Array.MaxLength ? (int)total : throw new FailureException(TreeErrors.TooManyNames());
        if (needed > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(needed, (int)Math.Min(Array.MaxLength, 32 + (_bytes.Length * 3L / 2))));
        }

        int start = _length;
        Span<byte> free = _bytes.AsSpan(start);
        if (name.Length < Long)
        {
            free[0] = (byte)name.Length;
        }
        else
        {
            free[0] = Long;
            BinaryPrimitives.WriteUInt16LittleEndian(free[1..], (ushort)name.Length);
        }

        name.CopyTo(free[(needed - start - name.Length)..]);
        _length = needed;
        return start;
    }

    /// <summary>Gives back what was reserved for more.</summary>
    public void Trim() => Array.Resize(ref _bytes, _length);
}
