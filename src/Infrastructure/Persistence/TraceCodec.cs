using System.Buffers.Binary;
using System.Globalization;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Persistence;

/// <summary>
/// Columns of traces and orders. An open is <code>digest 32 bytes · at u64 · waited u64</code> with times in microseconds, little endian.
/// </summary>
internal static class TraceCodec
{
    private const int OpenLength = Digest.Size + 16;

    public static byte[] Encode(IReadOnlyList<FirstOpen> opens)
    {
        byte[] raw = new byte[opens.Count * OpenLength];
        Span<byte> rest = raw;
        foreach (FirstOpen open in opens)
        {
            open.Content.CopyTo(rest);
            BinaryPrimitives.WriteInt64LittleEndian(rest[Digest.Size..], Microseconds(open.At));
            BinaryPrimitives.WriteInt64LittleEndian(rest[(Digest.Size + 8)..], Microseconds(open.Waited));
            rest = rest[OpenLength..];
        }

        return Packed.Pack(raw);
    }

    public static IReadOnlyList<FirstOpen> Decode(byte[] packed)
    {
        ReadOnlySpan<byte> rest = Packed.Unpack(packed);
        List<FirstOpen> opens = new(rest.Length / OpenLength);
        for (; rest.Length >= OpenLength; rest = rest[OpenLength..])
        {
            opens.Add(new FirstOpen(
                new Digest(rest[..Digest.Size]),
                TimeSpan.FromMicroseconds(BinaryPrimitives.ReadInt64LittleEndian(rest[Digest.Size..])),
                TimeSpan.FromMicroseconds(BinaryPrimitives.ReadInt64LittleEndian(rest[(Digest.Size + 8)..]))));
        }

        return opens;
    }

    public static string EncodeGroups(IReadOnlyDictionary<string, TimeSpan> groups) =>
        string.Join('\n', groups.OrderBy(g => g.Key, StringComparer.Ordinal).Select(g => string.Create(CultureInfo.InvariantCulture, $"{g.Key}={g.Value.Ticks}")));

    public static IReadOnlyDictionary<string, TimeSpan> DecodeGroups(string text)
    {
        Dictionary<string, TimeSpan> groups = new(StringComparer.Ordinal);
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 || !long.TryParse(line.AsSpan(equals + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long ticks))
            {
                throw new FailureException(new Error("Catalog.Corrupt", "a learned order of the catalog has a group that cannot be read: the database is damaged", ErrorKind.DataCorrupt));
            }

            groups[line[..equals]] = TimeSpan.FromTicks(ticks);
        }

        return groups;
    }

    public static long Microseconds(TimeSpan span) => span.Ticks / TimeSpan.TicksPerMicrosecond;
}
