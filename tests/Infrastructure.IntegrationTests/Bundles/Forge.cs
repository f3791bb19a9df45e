using System.Buffers.Binary;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

/// <summary>Makes checksums right again after a change, as an attacker or a newer version of the format would.</summary>
internal static class Forge
{
    public static void PreludeChecksum(byte[] bundle) =>
        BinaryPrimitives.WriteUInt32LittleEndian(bundle.AsSpan(60), BundleFormat.Checksum(bundle.AsSpan(0, 60)));

    public static void HeaderDigest(byte[] bundle)
    {
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(bundle.AsSpan(16));
        Digest.Of(bundle.AsSpan(Prelude.Length, length - Prelude.Length)).CopyTo(bundle.AsSpan(28));
        PreludeChecksum(bundle);
    }

    public static void BlockChecksum(byte[] bundle, int record)
    {
        int stored = BinaryPrimitives.ReadInt32LittleEndian(bundle.AsSpan(record + 4));
        uint checksum = BundleFormat.Checksum(bundle.AsSpan(record + BlockRecord.HeaderLength, stored), BundleFormat.Checksum(bundle.AsSpan(record, 8)));
        BinaryPrimitives.WriteUInt32LittleEndian(bundle.AsSpan(record + 8), checksum);
    }
}
