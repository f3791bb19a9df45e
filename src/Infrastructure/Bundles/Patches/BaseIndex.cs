using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;

namespace Starlight.Infrastructure.Bundles.Patches;

/// <summary>
/// Finds where bytes of an old content occur: a hash of <see cref="SeedLength"/> bytes at every few positions, one position for each hash. Immutable once built, so blocks that
/// are compressed side by side share one.
/// </summary>
internal sealed class BaseIndex
{
    /// <summary>
    /// Bytes that must be equal before an alignment is considered: what one load compares. Machine code has a changed address every 10 to 30 bytes, so longer seeds are rare where most is new.
    /// </summary>
    public const int SeedLength = 8;

    /// <summary>Up to so many bytes every position is indexed, above it every second and so on: the table never has more than 2^21 entries (8 MB). Twice as many make patches 0 to 2 % smaller.</summary>
    private const int MaxEntries = 1 << 21;

    /// <summary>Rented; returned by <see cref="Return"/>.</summary>
    private readonly int[] _positions;

    private readonly int _shift;

    /// <param name="content">The old bytes, or a part of them.</param>
    public BaseIndex(ReadOnlyMemory<byte> content)
    {
        Content = content;
        ReadOnlySpan<byte> bytes = content.Span;
        int step = Math.Max(1, (bytes.Length + MaxEntries - 1) / MaxEntries);
        int bits = Math.Clamp(BitOperations.Log2((uint)Math.Max(1, bytes.Length / step)) + 1, 4, 21);
        _shift = 64 - bits;
        _positions = ArrayPool<int>.Shared.Rent(1 << bits);
        _positions.AsSpan(0, 1 << bits).Clear();

        // Backwards, so that of equal seeds the first stays: runs are then found from their beginning.
        for (int position = (bytes.Length - SeedLength) / step * step; position >= 0; position -= step)
        {
            _positions[Slot(bytes[position..])] = position + 1;
        }
    }

    public ReadOnlyMemory<byte> Content { get; }

    /// <summary>A position whose bytes may be those at the beginning of <paramref name="seed"/>, or -1. The caller compares.</summary>
    public int Find(ReadOnlySpan<byte> seed) => _positions[Slot(seed)] - 1;

    /// <summary>The caller does not use this object again.</summary>
    public void Return() => ArrayPool<int>.Shared.Return(_positions);

    private int Slot(ReadOnlySpan<byte> seed) => (int)((BinaryPrimitives.ReadUInt64LittleEndian(seed) * 0x9E3779B97F4A7C15) >> _shift);
}
