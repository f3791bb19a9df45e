using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Images.Sources;

/// <summary>
/// Where the files of a tar archive are, so that they can be read in any order without unpacking: nothing is written, so no name in an archive can lead anywhere.
/// <code>
/// header block, 512 bytes (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format")
///   0 name[100]   100 mode[8]  108 uid[8]  116 gid[8]  124 size[12]  136 mtime[12]  148 chksum[8]
///   156 typeflag  157 linkname[100]  257 magic[6]  263 version[2]  …  345 prefix[155]
/// followed by the file's bytes, padded to 512; two zero blocks end the archive
/// typeflag: 0 and NUL file, 1 hard link, 2 symbolic link, L/K GNU long name/link of the next header, x pax records of the next header
/// size: octal digits, or with the top bit of the first byte set a big-endian number (GNU base-256)
/// </code>
/// </summary>
internal sealed class TarIndex
{
    private const int BlockSize = 512;
    private const int NameLength = 100;
    private const int SizeOffset = 124;
    private const int SizeLength = 12;
    private const int ChecksumOffset = 148;
    private const int ChecksumLength = 8;
    private const int TypeOffset = 156;
    private const int LinkOffset = 157;
    private const int MagicOffset = 257;
    private const int PrefixOffset = 345;
    private const int PrefixLength = 155;

    /// <summary>Long names and pax records are held in memory. Arbitrary; paths end at 4,096 bytes on Linux.</summary>
    private const int MaxExtension = 1024 * 1024;

    /// <summary>An image archive has a few entries per layer. Arbitrary.</summary>
    private const int MaxEntries = 1_000_000;

    /// <summary>docker save has written a symbolic link for a layer that occurs twice; a chain of them is a mistake or a trap. Arbitrary.</summary>
    private const int MaxLinks = 16;

    private readonly Dictionary<PosixPath, (long Offset, long Length)> _files = [];
    private readonly Dictionary<PosixPath, PosixPath> _links = [];

    private TarIndex()
    {
    }

    /// <summary>Fails with DataCorrupt if the archive is damaged or no tar at all.</summary>
    public static TarIndex Build(SafeFileHandle handle, string source, CancellationToken cancellationToken)
    {
        TarIndex index = new();
        long end = RandomAccess.GetLength(handle);
        byte[] header = new byte[BlockSize];
        PosixPath? longName = null;
        PosixPath? longLink = null;
        long? longSize = null;
        int entries = 0;
        for (long at = 0; at < end;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ReadExactly(handle, header, at, source);
            if (!header.AsSpan().ContainsAnyExcept((byte)0))
            {
                break;
            }

            if (!HasRightChecksum(header))
            {
                throw Malformed(source, at == 0 ? "it is not a tar archive" : $"the header at byte {at} is damaged");
            }

            if (++entries > MaxEntries)
            {
                throw Malformed(source, $"it has more than {MaxEntries} entries");
            }

            byte type = header[TypeOffset];
            long data = at + BlockSize;

            // Links, devices and directories have no data, whatever their size field says.
            long size = type is >= (byte)'1' and <= (byte)'6' ? 0 : Number(header.AsSpan(SizeOffset, SizeLength), source, at);
            size = type is (byte)'0' or 0 or (byte)'7' ? longSize ?? size : size;
            if (size > end - data)
            {
                throw Malformed(source, $"it ends in the middle of the entry at byte {at}");
            }

            switch (type)
            {
                case (byte)'L':
                    longName = UpToNul(ReadExtension(handle, data, size, source));
                    break;
                case (byte)'K':
                    longLink = UpToNul(ReadExtension(handle, data, size, source));
                    break;
                case (byte)'x':
                    ReadPax(ReadExtension(handle, data, size, source), source, ref longName, ref longLink, ref longSize);
                    break;
                case (byte)'g':
                    // Defaults for all entries (git archive's comment): nothing that is used here.
                    break;
                default:
                    index.Add(type, longName ?? Name(header), longLink ?? UpToNul(header.AsSpan(LinkOffset, NameLength)), data, size);
                    (longName, longLink, longSize) = (null, null, null);
                    break;
            }

            // The last file's padding may be missing; a header there would not fit anyway.
            at = data + ((size + BlockSize - 1) / BlockSize * BlockSize);
        }

        return index;
    }

    /// <summary>The bytes of a regular file, through links within the archive; null if there is none of that name.</summary>
    public (long Offset, long Length)? Find(string path)
    {
        PosixPath at = PosixPath.FromText(path).Clean();
        for (int links = 0; links <= MaxLinks; links++)
        {
            if (_files.TryGetValue(at, out (long, long) found))
            {
                return found;
            }

            if (!_links.TryGetValue(at, out at))
            {
                return null;
            }
        }

        return null;
    }

    /// <summary>A later entry of the same name replaces an earlier one, as when unpacking.</summary>
    private void Add(byte type, PosixPath name, PosixPath link, long offset, long length)
    {
        PosixPath path = name.Clean();
        _files.Remove(path);
        _links.Remove(path);
        switch (type)
        {
            case (byte)'0' or 0 or (byte)'7':
                _files[path] = (offset, length);
                break;
            case (byte)'1':
                _links[path] = link.Clean();
                break;
            case (byte)'2':
                _links[path] = path.Parent.Append(link).Clean();
                break;
        }
    }

    private static PosixPath Name(ReadOnlySpan<byte> header)
    {
        PosixPath name = UpToNul(header[..NameLength]);

        // GNU's magic is "ustar  ": it keeps other things where POSIX has the prefix.
        bool hasPrefix = header.Slice(MagicOffset, 6).SequenceEqual("ustar\0"u8) && header[PrefixOffset] != 0;
        return hasPrefix ? UpToNul(header.Slice(PrefixOffset, PrefixLength)).Append(name) : name;
    }

    private static PosixPath UpToNul(ReadOnlySpan<byte> field)
    {
        int end = field.IndexOf((byte)0);
        return PosixPath.FromBytes(end < 0 ? field : field[..end]);
    }

    /// <summary>The sum of the header's bytes with the field itself taken as spaces; very old programs summed them as signed.</summary>
    private static bool HasRightChecksum(ReadOnlySpan<byte> header)
    {
        long stated = 0;
        bool any = false;
        foreach (byte b in header.Slice(ChecksumOffset, ChecksumLength).Trim(" \0"u8))
        {
            if (b is < (byte)'0' or > (byte)'7')
            {
                return false;
            }

            stated = (stated * 8) + (b - '0');
            any = true;
        }

        long unsigned = ChecksumLength * ' ';
        long signed = unsigned;
        for (int i = 0; i < BlockSize; i++)
        {
            if (i is < ChecksumOffset or >= ChecksumOffset + ChecksumLength)
            {
                unsigned += header[i];
                signed += (sbyte)header[i];
            }
        }

        return any && (stated == unsigned || stated == signed);
    }

    private static long Number(ReadOnlySpan<byte> field, string source, long at)
    {
        if ((field[0] & 0x80) != 0)
        {
            // 12 bytes of which the last 8 hold every size that a file can have.
            long value = BinaryPrimitives.ReadInt64BigEndian(field[4..]);
            bool fits = (field[0] & 0x7f) == 0 && !field[1..4].ContainsAnyExcept((byte)0) && value >= 0;
            return fits ? value : throw Malformed(source, $"the entry at byte {at} has an impossible size");
        }

        long number = 0;
        foreach (byte b in field.Trim(" \0"u8))
        {
            if (b is < (byte)'0' or > (byte)'7')
            {
                throw Malformed(source, $"the entry at byte {at} has a size that is no number");
            }

            number = (number * 8) + (b - '0');
        }

        return number;
    }

    // "LENGTH key=value\n", LENGTH counting the whole record in decimal
    private static void ReadPax(ReadOnlySpan<byte> records, string source, ref PosixPath? path, ref PosixPath? link, ref long? size)
    {
        while (!records.IsEmpty && records[0] != 0)
        {
            int space = records.IndexOf((byte)' ');
            if (space <= 0
                || !int.TryParse(Encoding.ASCII.GetString(records[..space]), NumberStyles.None, CultureInfo.InvariantCulture, out int length)
                || length <= space + 1
                || length > records.Length
                || records[length - 1] != '\n')
            {
                throw Malformed(source, "a pax record is damaged");
            }

            ReadOnlySpan<byte> record = records[(space + 1)..(length - 1)];
            int equals = record.IndexOf((byte)'=');
            if (equals < 0)
            {
                throw Malformed(source, "a pax record is damaged");
            }

            ReadOnlySpan<byte> value = record[(equals + 1)..];
            ReadOnlySpan<byte> key = record[..equals];
            if (key.SequenceEqual("path"u8))
            {
                path = PosixPath.FromBytes(value);
            }
            else if (key.SequenceEqual("linkpath"u8))
            {
                link = PosixPath.FromBytes(value);
            }
            else if (key.SequenceEqual("size"u8))
            {
                size = long.TryParse(Encoding.ASCII.GetString(value), NumberStyles.None, CultureInfo.InvariantCulture, out long parsed)
                    ? parsed
                    : throw Malformed(source, "a pax size is no number");
            }

            records = records[length..];
        }
    }

    private static byte[] ReadExtension(SafeFileHandle handle, long at, long size, string source)
    {
        if (size > MaxExtension)
        {
            throw Malformed(source, $"the extended header at byte {at - BlockSize} has {size} bytes; {MaxExtension} are accepted");
        }

        byte[] raw = new byte[size];
        ReadExactly(handle, raw, at, source);
        return raw;
    }

    private static void ReadExactly(SafeFileHandle handle, Span<byte> buffer, long at, string source)
    {
        while (!buffer.IsEmpty)
        {
            int read = RandomAccess.Read(handle, buffer, at);
            if (read == 0)
            {
                throw Malformed(source, "it ends in the middle of a header");
            }

            buffer = buffer[read..];
            at += read;
        }
    }

    private static FailureException Malformed(string source, string why) => new(SourceErrors.Malformed(source, why));
}
