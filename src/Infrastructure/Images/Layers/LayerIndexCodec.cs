using System.Security.Cryptography;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Images.Layers;

/// <summary>
/// A layer's entries as stored by the proxy and by convert's cache. Byte by byte in docs/formats/layer-index.md:
/// <code>
/// "SLLI" | version 1 | count | entry … | seal
/// count, and every number below: LEB128, shortest form          seal: first 8 bytes of the sha256 of everything before it
/// entry: tag | shared | suffix | mode | [uid gid] | mtime (zigzag) | [nanoseconds] | by kind | [xattrs]
/// tag  : bits 0–3 kind, 4 has nanoseconds, 5 has xattrs, 6 same owner as the entry before, 7 zero
/// path : shared = bytes in common with the path before, suffix = length and bytes of the rest
/// kind : regular size [digest]  ·  links length target  ·  devices major minor
/// </code>
/// One form only: decoding what was encoded and encoding it again gives the same bytes, and bytes that are not in that form are refused.
/// </summary>
internal static class LayerIndexCodec
{
    internal const byte Version = 1;
    internal const int SealLength = 8;

    private const byte HasNanoseconds = 0x10;
    private const byte HasXattrs = 0x20;
    private const byte SameOwner = 0x40;

    /// <summary>tag, shared, suffix length, mode and time take at least a byte each, an owner is the same or takes two.</summary>
    private const int MinEntryLength = 5;

    private static ReadOnlySpan<byte> Magic => "SLLI"u8;

    public static byte[] Encode(IReadOnlyList<LayerEntry> entries)
    {
        IReadOnlyList<ReadOnlyMemory<byte>> pieces = EncodePieces(entries);
        byte[] index = new byte[pieces.Sum(p => p.Length)];
        int at = 0;
        foreach (ReadOnlyMemory<byte> piece in pieces)
        {
            piece.CopyTo(index.AsMemory(at));
            at += piece.Length;
        }

        return index;
    }

    /// <summary>The same bytes in pieces that follow each other. Of an <see cref="EntryLog"/> nothing is copied.</summary>
    public static IReadOnlyList<ReadOnlyMemory<byte>> EncodePieces(IReadOnlyList<LayerEntry> entries)
    {
        EntryLog log = entries as EntryLog ?? EntryLog.Of(entries);
        Writer head = new();
        head.Bytes(Magic);
        head.Byte(Version);
        head.Number((ulong)log.Count);
        List<ReadOnlyMemory<byte>> pieces = [head.Written.ToArray(), .. log.Chunks];
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (ReadOnlyMemory<byte> piece in pieces)
        {
            hash.AppendData(piece.Span);
        }

        pieces.Add(hash.GetHashAndReset().AsMemory(0, SealLength));
        return pieces;
    }

    /// <summary>Checks all of it. The entries are made anew whenever they are asked for, from <paramref name="index"/>, which must not change.</summary>
    public static EntryLog Decode(ReadOnlyMemory<byte> index)
    {
        ReadOnlySpan<byte> bytes = index.Span;
        if (bytes.Length < Magic.Length + 1 + 1 + SealLength || !bytes.StartsWith(Magic))
        {
            throw LayerFailures.IndexMalformed("it is not a layer index");
        }

        if (bytes[Magic.Length] != Version)
        {
            throw LayerFailures.IndexMalformed($"it has version {bytes[Magic.Length]}, this build reads {Version}");
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SpooledMemory.Hash(index[..^SealLength]).CopyTo(hash);
        if (!hash[..SealLength].SequenceEqual(bytes[^SealLength..]))
        {
            throw LayerFailures.IndexMalformed("its seal does not match, so it is cut off or damaged");
        }

        Reader reader = new(bytes[(Magic.Length + 1)..^SealLength]);
        ulong count = reader.Number(LayerBudget.MaxEntries);
        if (count > (ulong)reader.Remaining / MinEntryLength)
        {
            throw LayerFailures.IndexMalformed("it announces more entries than it holds");
        }

        return EntryLog.Read(index[^(reader.Remaining + SealLength)..^SealLength], (int)count);
    }

    /// <summary>Writes one entry.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="entry">What.</param>
    /// <param name="previousPath">Path of the entry before it.</param>
    /// <param name="owner">Owner of the entry before it.</param>
    internal static void Encode(Writer writer, LayerEntry entry, PosixPath previousPath, (uint Uid, uint Gid) owner)
    {
        bool sameOwner = owner == (entry.Uid, entry.Gid);
        writer.Byte((byte)((byte)entry.Kind
            | (entry.MtimeNanoseconds != 0 ? HasNanoseconds : 0)
            | (entry.Xattrs.Count != 0 ? HasXattrs : 0)
            | (sameOwner ? SameOwner : 0)));
        int shared = previousPath.Raw.AsSpan().CommonPrefixLength(entry.Path.Raw);
        writer.Number((ulong)shared);
        writer.Text(entry.Path.Raw.AsSpan(shared));
        writer.Number(entry.Mode);
        if (!sameOwner)
        {
            writer.Number(entry.Uid);
            writer.Number(entry.Gid);
        }

        writer.Number((ulong)((entry.MtimeSeconds << 1) ^ (entry.MtimeSeconds >> 63)));
        if (entry.MtimeNanoseconds != 0)
        {
            writer.Number(entry.MtimeNanoseconds);
        }

        switch (entry.Kind)
        {
            case FileKind.Regular:
                writer.Number((ulong)entry.Size);
                if (entry.Size > 0)
                {
                    writer.Digest(entry.Content);
                }

                break;
            case FileKind.Symlink or FileKind.HardLink:
                writer.Text(entry.LinkTarget.Raw);
                break;
            case FileKind.CharacterDevice or FileKind.BlockDevice:
                writer.Number(entry.DeviceMajor);
                writer.Number(entry.DeviceMinor);
                break;
        }

        if (entry.Xattrs.Count != 0)
        {
            writer.Number((ulong)entry.Xattrs.Count);
            foreach (Xattr xattr in entry.Xattrs)
            {
                writer.Text(xattr.Name.Raw);
                writer.Number((ulong)xattr.Value.Length);
                writer.Bytes(xattr.Value.Span);
            }
        }
    }

    internal static LayerEntry Decode(ref Reader reader, PosixPath previousPath, (uint Uid, uint Gid) owner)
    {
        byte tag = reader.Byte();
        FileKind kind = (FileKind)(tag & 0x0f);
        if (kind is < FileKind.Regular or > FileKind.HardLink || (tag & 0x80) != 0)
        {
            throw LayerFailures.IndexMalformed($"an entry has the unknown tag 0x{tag:x2}");
        }

        PosixPath path = DecodePath(ref reader, previousPath);
        ushort mode = (ushort)reader.Number(0xfff);
        if ((tag & SameOwner) == 0)
        {
            (uint, uint) own = ((uint)reader.Number(uint.MaxValue), (uint)reader.Number(uint.MaxValue));
            owner = own != owner ? own : throw LayerFailures.IndexMalformed("an owner is repeated");
        }

        ulong zigzag = reader.Number(ulong.MaxValue);
        long seconds = (long)(zigzag >> 1) ^ -(long)(zigzag & 1);
        uint nanoseconds = (tag & HasNanoseconds) != 0 ? (uint)reader.Positive(999_999_999) : 0;
        long size = kind == FileKind.Regular ? (long)reader.Number(long.MaxValue) : 0;
        Digest content = kind != FileKind.Regular ? default : size == 0 ? Digest.Empty : reader.Digest();
        PosixPath target = kind is FileKind.Symlink or FileKind.HardLink ? PosixPath.FromBytes(reader.Text()) : PosixPath.Root;
        bool isDevice = kind is FileKind.CharacterDevice or FileKind.BlockDevice;
        return new LayerEntry
        {
            Path = path,
            Kind = kind,
            Mode = mode,
            Uid = owner.Uid,
            Gid = owner.Gid,
            MtimeSeconds = seconds,
            MtimeNanoseconds = nanoseconds,
            Size = size,
            Content = content,
            LinkTarget = target,
            DeviceMajor = isDevice ? (uint)reader.Number(uint.MaxValue) : 0,
            DeviceMinor = isDevice ? (uint)reader.Number(uint.MaxValue) : 0,
            Xattrs = (tag & HasXattrs) != 0 ? DecodeXattrs(ref reader) : [],
        };
    }

    private static PosixPath DecodePath(ref Reader reader, PosixPath previous)
    {
        int shared = (int)reader.Number((ulong)previous.Length);
        PosixPath suffix = PosixPath.FromBytes(reader.Text());
        PosixPath path = PosixPath.FromRaw(string.Concat(previous.Raw.AsSpan(0, shared), suffix.Raw));
        bool shortest = shared == previous.Length || suffix.IsEmpty || previous.Raw[shared] != suffix.Raw[0];
        // a cleaned path cannot lead out of the tree: what is built from an index relies on it
        return shortest && path.Clean() == path ? path : throw LayerFailures.IndexMalformed($"it has the path '{path.Display}', which is not in its clean form");
    }

    private static Xattr[] DecodeXattrs(ref Reader reader)
    {
        // a name and a value take at least a length byte each
        ulong count = reader.Positive((ulong)reader.Remaining / 2);
        Xattr[] xattrs = new Xattr[count];
        for (int i = 0; i < xattrs.Length; i++)
        {
            xattrs[i] = new Xattr(PosixPath.FromBytes(reader.Text()), reader.Text().ToArray());
            if (i > 0 && xattrs[i].Name <= xattrs[i - 1].Name)
            {
                throw LayerFailures.IndexMalformed("extended attributes are out of order");
            }
        }

        return xattrs;
    }

    internal sealed class Writer
    {
        private readonly MemoryStream _bytes = new();

        public void Byte(byte value) => _bytes.WriteByte(value);

        public void Bytes(ReadOnlySpan<byte> value) => _bytes.Write(value);

        public void Number(ulong value)
        {
            for (; value >= 0x80; value >>= 7)
            {
                _bytes.WriteByte((byte)(value | 0x80));
            }

            _bytes.WriteByte((byte)value);
        }

        public void Text(ReadOnlySpan<char> raw)
        {
            Number((ulong)raw.Length);
            foreach (char c in raw)
            {
                _bytes.WriteByte((byte)c);
            }
        }

        public void Digest(Digest digest)
        {
            Span<byte> raw = stackalloc byte[Domain.Content.Digest.Size];
            digest.CopyTo(raw);
            _bytes.Write(raw);
        }

        public ReadOnlySpan<byte> Written => _bytes.GetBuffer().AsSpan(0, (int)_bytes.Length);

        public void Clear() => _bytes.SetLength(0);
    }

    internal ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private ReadOnlySpan<byte> _bytes = bytes;

        public readonly int Remaining => _bytes.Length;

        public byte Byte() => Take(1)[0];

        public ulong Number(ulong max)
        {
            ulong value = 0;
            for (int shift = 0; shift < 70; shift += 7)
            {
                byte b = Byte();
                if ((shift == 63 && b > 1) || (b == 0 && shift > 0))
                {
                    break;
                }

                value |= (ulong)(b & 0x7f) << shift;
                if (b < 0x80)
                {
                    return value <= max ? value : throw LayerFailures.IndexMalformed($"it has the number {value} where at most {max} can stand");
                }
            }

            throw LayerFailures.IndexMalformed("it has a number that is not in its shortest form");
        }

        public ulong Positive(ulong max)
        {
            ulong value = Number(max);
            return value > 0 ? value : throw LayerFailures.IndexMalformed("it has a zero that should have been left out");
        }

        public ReadOnlySpan<byte> Text() => Take((int)Number((ulong)Remaining));

        public Digest Digest() => new(Take(Domain.Content.Digest.Size));

        private ReadOnlySpan<byte> Take(int length)
        {
            if (length > _bytes.Length)
            {
                throw LayerFailures.IndexMalformed("it ends inside an entry");
            }

            ReadOnlySpan<byte> taken = _bytes[..length];
            _bytes = _bytes[length..];
            return taken;
        }
    }
}
