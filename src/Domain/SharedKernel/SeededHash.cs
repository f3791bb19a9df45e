using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Starlight.Domain.SharedKernel;

/// <summary>
/// Hashes for tables of what strangers choose: names in layers, digests in images. They differ from process to process, and who does not know the seed cannot choose values that collide.
/// <see cref="HashCode"/> is seeded too, but values that collide under every seed can be made for it.
/// </summary>
public static class SeededHash
{
    private static readonly ulong[] Keys = MemoryMarshal.Cast<byte, ulong>(RandomNumberGenerator.GetBytes(4 * sizeof(ulong))).ToArray();

    /// <summary>The framework's hash for strings (Marvin32, keyed), fed with bytes.</summary>
    public static int Of(ReadOnlySpan<byte> bytes)
    {
        int hash = string.GetHashCode(MemoryMarshal.Cast<byte, char>(bytes), StringComparison.Ordinal);

        // Of an odd number of bytes the last one is no char: at most 256 values differ in nothing else.
        return (bytes.Length & 1) == 0 ? hash : (hash * 31) + bytes[^1] + 1;
    }

    /// <summary>The upper half of a multilinear hash with random keys (Lemire and Kaser, "Strongly universal string hashing is fast", 2014): 3 ns.</summary>
    public static int Of(ulong a, ulong b, ulong c, ulong d)
    {
        ulong[] keys = Keys;
        UInt128 sum = ((UInt128)(a + keys[0]) * (b + keys[1])) + ((UInt128)(c + keys[2]) * (d + keys[3]));
        return (int)(uint)(sum >> 64);
    }
}
