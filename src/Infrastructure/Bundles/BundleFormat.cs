using System.Numerics;
using System.Runtime.InteropServices;
using Starlight.Domain.Bundles;

namespace Starlight.Infrastructure.Bundles;

/// <summary>
/// The numbers of the delta bundle format, version 2 (docs/formats/delta-bundle.md). Everything is little endian; varints are unsigned LEB128.
/// </summary>
/// <remarks>
/// <code>
/// prelude    64 bytes                                  see Prelude
/// header     per image: name unit, image unit          see HeaderUnit, ImageUnit
///            plan unit                                 see PlanUnit
/// blocks     records                                   see BlockRecord
/// trailer    one record that tells the bundle's length
/// </code>
/// </remarks>
internal static class BundleFormat
{
    public const ushort Version = 2;

    /// <summary>
    /// Goes up when the same inputs would give other bytes that every reader of <see cref="Version"/> reads all the same: another search for what patches can copy, another level. Part of the
    /// identity, so that no range of one proxy's bundle is continued with one of another's that only looks alike.
    /// </summary>
    public const ushort EncoderRevision = 1;

    /// <summary>Images in one bundle: a Kubernetes pod or a small stack. Arbitrary.</summary>
    public const int MaxImages = 64;

    /// <summary>Header as sent. The largest real filesystem images (a million files) are some 200 MB raw and a quarter of that compressed.</summary>
    public const int MaxHeaderLength = 256 << 20;

    /// <summary>Raw bytes of one unit, and of all units together: what a worker is made to hold in memory at most.</summary>
    public const int MaxUnitLength = 256 << 20;

    /// <inheritdoc cref="MaxUnitLength"/>
    public const int MaxUnitsLength = 512 << 20;

    /// <summary>Raw bytes of the plan unit: enough for some ten million contents, and little enough for what a worker makes of it in memory (8 bytes for each).</summary>
    public const int MaxPlanLength = 32 << 20;

    /// <summary>Raw bytes of one block; the format's own limit and the planner's are the same, so a worker's buffers have a fixed size.</summary>
    public const int MaxBlockLength = DeltaPlan.MaxBlockLength;

    /// <summary>CRC-32C (RFC 3720, appendix B.4): against damage in transit, not against forgery, which the digests of contents and filesystem image are for.</summary>
    public static uint Checksum(ReadOnlySpan<byte> bytes, uint seed = 0)
    {
        uint crc = ~seed;
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (ulong word in words)
        {
            crc = BitOperations.Crc32C(crc, word);
        }

        foreach (byte rest in bytes[(words.Length * sizeof(ulong))..])
        {
            crc = BitOperations.Crc32C(crc, rest);
        }

        return ~crc;
    }
}
