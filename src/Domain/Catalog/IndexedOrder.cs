using System.Buffers.Binary;
using Starlight.Domain.Content;

namespace Starlight.Domain.Catalog;

/// <summary>The order of an image's contents as traces have taught it, of this image or of another version.</summary>
/// <param name="Order">Indexes into the canonical content list, each exactly once.</param>
/// <param name="HotCount">The first so many were opened by a traced container.</param>
/// <param name="Moments">For each of these, microseconds from the container's start to its opening.</param>
/// <param name="Groups">For each group that the image was traced in, how long after the group's first container it started.</param>
/// <param name="Traces">How many traces it comes from.</param>
/// <param name="InheritedFrom">The version whose traces they are; null for this image's own.</param>
/// <param name="Revision">How many traces of its own the image had ever got when this was made; a later one replaces an earlier.</param>
public sealed record IndexedOrder(
    IReadOnlyList<int> Order, int HotCount, IReadOnlyList<long> Moments, IReadOnlyDictionary<string, TimeSpan> Groups, int Traces, Digest? InheritedFrom, long Revision)
{
    /// <summary>sha256 over all that a bundle's order depends on: two orders that give the same bundles have the same name.</summary>
    public Digest Name()
    {
        byte[] text = new byte[4 + (Order.Count * 4) + (HotCount * 8) + (Groups.Count * (Digest.Size + 8))];
        Span<byte> rest = text;
        BinaryPrimitives.WriteInt32LittleEndian(rest, HotCount);
        rest = rest[4..];
        foreach (int index in Order)
        {
            BinaryPrimitives.WriteInt32LittleEndian(rest, index);
            rest = rest[4..];
        }

        foreach (long moment in Moments)
        {
            BinaryPrimitives.WriteInt64LittleEndian(rest, moment);
            rest = rest[8..];
        }

        foreach ((string group, TimeSpan offset) in Groups.OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            Digest.Of(System.Text.Encoding.UTF8.GetBytes(group)).CopyTo(rest);
            BinaryPrimitives.WriteInt64LittleEndian(rest[Digest.Size..], offset.Ticks);
            rest = rest[(Digest.Size + 8)..];
        }

        return Digest.Of(text);
    }
}
