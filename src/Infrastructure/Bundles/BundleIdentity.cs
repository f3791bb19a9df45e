using System.Buffers.Binary;
using System.Security.Cryptography;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Compression;

namespace Starlight.Infrastructure.Bundles;

/// <summary>
/// Names a bundle before it is made: sha256 over everything its bytes depend on. Two bundles of the same identity have the same bytes, so it is the ETag, and a range of one
/// can be continued with a range of the other, whichever proxy serves it.
/// </summary>
/// <remarks>
/// <code>
/// "starlight-bundle" · u16 format version · 3 × u16 libzstd version · i32 level · u32 units · u16 encoder revision · per unit: sha256 · plan payload
/// </code>
/// What the worker has and how images are ordered shows in the plan; content digests are in the units' filesystem images. Units are named by their own bytes, since they
/// may have been made at another level or by another library. Block bytes depend on the libzstd version: proxies of different versions give different identities.
/// </remarks>
public static class BundleIdentity
{
    public static Digest Of(IReadOnlyList<ImageUnits> imageUnits, DeltaPlan plan, int level)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData("starlight-bundle"u8);
        Version library = ZstdLibrary.Version;
        Span<byte> numbers = stackalloc byte[18];
        BinaryPrimitives.WriteUInt16LittleEndian(numbers, BundleFormat.Version);
        BinaryPrimitives.WriteUInt16LittleEndian(numbers[2..], (ushort)library.Major);
        BinaryPrimitives.WriteUInt16LittleEndian(numbers[4..], (ushort)library.Minor);
        BinaryPrimitives.WriteUInt16LittleEndian(numbers[6..], (ushort)library.Build);
        BinaryPrimitives.WriteInt32LittleEndian(numbers[8..], level);
        BinaryPrimitives.WriteInt32LittleEndian(numbers[12..], imageUnits.Count);
        BinaryPrimitives.WriteUInt16LittleEndian(numbers[16..], BundleFormat.EncoderRevision);
        hash.AppendData(numbers);
        Span<byte> digest = stackalloc byte[Digest.Size];
        using IncrementalHash ofUnit = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (ImageUnits unit in imageUnits)
        {
            ofUnit.AppendData(unit.Name.Span);
            ofUnit.AppendData(unit.Image.Span);
            ofUnit.GetHashAndReset(digest);
            hash.AppendData(digest);
        }

        hash.AppendData(PlanUnit.EncodePayload(plan));
        hash.GetHashAndReset(digest);
        return new Digest(digest);
    }
}
