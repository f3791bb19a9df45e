using System.Security.Cryptography;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Images.Layers;

/// <summary>
/// Where an eStargz blob has each content, stored beside the layer's index (docs/formats/layer-members.md):
/// <code>
/// "SLLM" | version 1 | end of the last member | content … | seal
/// numbers: LEB128                                  seal: first 8 bytes of the sha256 of everything before it
/// content: for each regular entry of the index that is not empty, in its order: piece …
/// piece  : length, 0 for "the rest of the content, this piece is the last" | offset, less that of the piece before (zigzag) | inner offset
/// </code>
/// </summary>
internal static class LayerMembers
{
    private const byte Version = 1;
    private const int SealLength = LayerIndexCodec.SealLength;

    private static ReadOnlySpan<byte> Magic => "SLLM"u8;

    public static bool HasMember(LayerEntry entry) => entry.Kind == FileKind.Regular && entry.Size > 0;

    /// <param name="members">As <see cref="Writer"/> made it, or empty.</param>
    /// <param name="entries">Of the layer's index.</param>
    /// <param name="wanted">Contents to find.</param>
    public static IReadOnlyList<LocatedContent> Locate(ReadOnlySpan<byte> members, IReadOnlyList<LayerEntry> entries, IReadOnlySet<Digest> wanted)
    {
        HashSet<Digest> seen = [];
        List<LocatedContent> found = [];
        if (members.IsEmpty)
        {
            foreach (LayerEntry entry in entries)
            {
                if (HasMember(entry) && wanted.Contains(entry.Content) && seen.Add(entry.Content))
                {
                    found.Add(new LocatedContent(new ContentRef(entry.Content, entry.Size), []));
                }
            }

            return found;
        }

        Reader reader = new(Open(members));
        long end = (long)reader.Number();
        List<long> offsets = [];
        foreach (LayerEntry entry in entries)
        {
            if (!HasMember(entry))
            {
                continue;
            }

            bool take = wanted.Contains(entry.Content) && seen.Add(entry.Content);
            List<ContentPiece> pieces = [];
            for (long left = entry.Size; left > 0;)
            {
                (long offset, long inner, long length) = reader.Piece(left);
                left -= length;
                offsets.Add(offset);
                if (take)
                {
                    pieces.Add(new ContentPiece(offset, 0, inner, length));
                }
            }

            if (take)
            {
                found.Add(new LocatedContent(new ContentRef(entry.Content, entry.Size), pieces));
            }
        }

        if (!reader.AtEnd)
        {
            throw LayerFailures.IndexMalformed("its members are not those of its entries");
        }

        offsets.Sort();
        return [.. found.Select(f => f with { Pieces = [.. f.Pieces.Select(p => p with { End = EndOf(p.Offset, offsets, end) })] })];
    }

    /// <summary>The next member's beginning.</summary>
    private static long EndOf(long offset, List<long> offsets, long end)
    {
        int at = offsets.BinarySearch(offset);
        while (at < offsets.Count && offsets[at] == offset)
        {
            at++;
        }

        long next = at < offsets.Count ? offsets[at] : end;
        return next > offset ? next : throw LayerFailures.IndexMalformed("a member of it ends before it begins");
    }

    private static ReadOnlySpan<byte> Open(ReadOnlySpan<byte> members)
    {
        if (members.Length < Magic.Length + 1 + SealLength || !members.StartsWith(Magic) || members[Magic.Length] != Version)
        {
            throw LayerFailures.IndexMalformed("its members are of another version");
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(members[..^SealLength], hash);
        return hash[..SealLength].SequenceEqual(members[^SealLength..])
            ? members[(Magic.Length + 1)..^SealLength]
            : throw LayerFailures.IndexMalformed("the seal of its members does not match");
    }

    /// <summary>Collects pieces in the order of the entries.</summary>
    public sealed class Writer
    {
        private readonly MemoryStream _pieces = new();
        private long _offset;

        public void Piece(long offset, long innerOffset, long length, bool isLast)
        {
            Number(_pieces, isLast ? 0 : (ulong)length);
            long delta = offset - _offset;
            Number(_pieces, (ulong)((delta << 1) ^ (delta >> 63)));
            Number(_pieces, (ulong)innerOffset);
            _offset = offset;
        }

        /// <param name="end">Where the last member ends.</param>
        public byte[] Finish(long end)
        {
            using MemoryStream whole = new((int)_pieces.Length + 64);
            whole.Write(Magic);
            whole.WriteByte(Version);
            Number(whole, (ulong)end);
            _pieces.WriteTo(whole);
            whole.Write(SHA256.HashData(whole.GetBuffer().AsSpan(0, (int)whole.Length)).AsSpan(0, SealLength));
            return whole.ToArray();
        }

        private static void Number(MemoryStream to, ulong value)
        {
            for (; value >= 0x80; value >>= 7)
            {
                to.WriteByte((byte)(value | 0x80));
            }

            to.WriteByte((byte)value);
        }
    }

    private ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private ReadOnlySpan<byte> _bytes = bytes;
        private long _offset;

        public readonly bool AtEnd => _bytes.IsEmpty;

        public ulong Number()
        {
            ulong value = 0;
            for (int shift = 0; shift < 64 && !_bytes.IsEmpty; shift += 7)
            {
                byte b = _bytes[0];
                _bytes = _bytes[1..];
                value |= (ulong)(b & 0x7f) << shift;
                if (b < 0x80)
                {
                    return value;
                }
            }

            throw LayerFailures.IndexMalformed("its members end too early");
        }

        public (long Offset, long InnerOffset, long Length) Piece(long left)
        {
            long length = (long)Number();
            ulong zigzag = Number();
            _offset += (long)(zigzag >> 1) ^ -(long)(zigzag & 1);
            long inner = (long)Number();
            return length < 0 || length >= left || _offset < 0 || inner < 0
                ? throw LayerFailures.IndexMalformed("a piece of it has an impossible place")
                : (_offset, inner, length == 0 ? left : length);
        }
    }
}
