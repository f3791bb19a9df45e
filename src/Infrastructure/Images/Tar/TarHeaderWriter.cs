using System.Globalization;
using System.Text;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Images.Tar;

/// <summary>
/// Writes tar headers of our own: a ustar block, after a pax header where something does not fit it. What is written depends on the entry alone, so equal entries give
/// equal bytes (the framework's writer puts its process id into pax headers). Layout: <see cref="TarHeader"/>, <see cref="PaxRecords"/>.
/// </summary>
internal static class TarHeaderWriter
{
    /// <summary>Two zero blocks.</summary>
    public static readonly byte[] EndOfArchive = new byte[2 * TarHeader.BlockSize];

    private const long MaxOctal7 = 0x1fffff;
    private const long MaxOctal11 = 0x1ffffffff;

    /// <summary>The name of pax headers themselves; readers ignore it.</summary>
    private static readonly PosixPath PaxName = PosixPath.FromText("PaxHeaders/0");

    /// <summary>An ordinary file of the format's own: owner root, time zero.</summary>
    public static byte[] Write(PosixPath name, long size) => Write(new TarEntry { Name = name, Kind = FileKind.Regular, Size = size });

    /// <summary>All header blocks of an entry. A sparse file is written as an ordinary one of its full size.</summary>
    public static byte[] Write(TarEntry entry)
    {
        using MemoryStream headers = new();
        byte[] pax = PaxBody(entry);
        if (pax.Length > 0)
        {
            headers.Write(Block(new TarEntry { Name = PaxName, Kind = FileKind.Regular, Size = pax.Length, Mode = 0x1a4 }, (byte)'x'));
            headers.Write(pax);
            headers.Write(new byte[Padding(pax.Length)]);
        }

        headers.Write(Block(entry, entry.Kind switch
        {
            FileKind.Regular => (byte)'0',
            FileKind.HardLink => (byte)'1',
            FileKind.Symlink => (byte)'2',
            FileKind.CharacterDevice => (byte)'3',
            FileKind.BlockDevice => (byte)'4',
            FileKind.Directory => (byte)'5',
            FileKind.Fifo => (byte)'6',
            _ => throw new ArgumentOutOfRangeException(nameof(entry), entry.Kind, "no tar type"),
        }));
        return headers.ToArray();
    }

    /// <summary>Zeros that follow a content.</summary>
    public static int Padding(long size) => (int)(-size & (TarHeader.BlockSize - 1));

    /// <summary>Records in ascending order of their keys.</summary>
    private static byte[] PaxBody(TarEntry entry)
    {
        using MemoryStream body = new();
        foreach (Xattr xattr in entry.Xattrs)
        {
            Record(body, Encoding.Latin1.GetBytes("SCHILY.xattr." + xattr.Name.Raw), xattr.Value.Span);
        }

        Number(body, "gid", entry.Gid, MaxOctal7);
        Text(body, "gname", entry.GroupName, 32);
        Text(body, "linkpath", entry.LinkName, 100);
        if (entry.MtimeNanoseconds != 0 || entry.MtimeSeconds is < 0 or > MaxOctal11)
        {
            Record(body, "mtime"u8, Encoding.ASCII.GetBytes(Time(entry.MtimeSeconds, entry.MtimeNanoseconds)));
        }

        Text(body, "path", entry.Name, 100);
        Number(body, "size", entry.Size, MaxOctal11);
        Number(body, "uid", entry.Uid, MaxOctal7);
        Text(body, "uname", entry.UserName, 32);
        return body.ToArray();
    }

    private static string Time(long seconds, uint nanoseconds)
    {
        // -2 s + 0.5 s is written -1.5
        bool negative = seconds < 0 && nanoseconds != 0;
        (Int128 whole, uint fraction) = negative ? (-((Int128)seconds + 1), 1_000_000_000 - nanoseconds) : (seconds, nanoseconds);
        string decimals = fraction == 0 ? "" : "." + fraction.ToString("d9", CultureInfo.InvariantCulture).TrimEnd('0');
        return (negative ? "-" : "") + whole.ToString(CultureInfo.InvariantCulture) + decimals;
    }

    private static void Number(MemoryStream body, string key, long value, long max)
    {
        if (value > max)
        {
            Record(body, Encoding.ASCII.GetBytes(key), Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture)));
        }
    }

    private static void Text(MemoryStream body, string key, PosixPath value, int fieldLength)
    {
        if (value.Length > fieldLength)
        {
            Record(body, Encoding.ASCII.GetBytes(key), value.ToBytes());
        }
    }

    private static void Record(MemoryStream body, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        int rest = key.Length + value.Length + 3;
        int length = rest + Digits(rest);
        length = rest + Digits(length);
        body.Write(Encoding.ASCII.GetBytes(length.ToString(CultureInfo.InvariantCulture)));
        body.WriteByte((byte)' ');
        body.Write(key);
        body.WriteByte((byte)'=');
        body.Write(value);
        body.WriteByte((byte)'\n');
    }

    private static int Digits(int number) => number.ToString(CultureInfo.InvariantCulture).Length;

    private static byte[] Block(TarEntry entry, byte type)
    {
        byte[] block = new byte[TarHeader.BlockSize];
        Put(block, 0, 100, entry.Name);
        Octal(block, 100, 8, entry.Mode & 0xfff);
        Octal(block, 108, 8, entry.Uid > MaxOctal7 ? 0 : entry.Uid);
        Octal(block, 116, 8, entry.Gid > MaxOctal7 ? 0 : entry.Gid);
        Octal(block, 124, 12, entry.Size > MaxOctal11 ? 0 : entry.Size);
        Octal(block, 136, 12, entry.MtimeSeconds is < 0 or > MaxOctal11 ? 0 : entry.MtimeSeconds);
        block[156] = type;
        Put(block, 157, 100, entry.LinkName);
        "ustar\0"u8.CopyTo(block.AsSpan(257));
        "00"u8.CopyTo(block.AsSpan(263));
        Put(block, 265, 32, entry.UserName);
        Put(block, 297, 32, entry.GroupName);
        Octal(block, 329, 8, entry.DeviceMajor & MaxOctal7);
        Octal(block, 337, 8, entry.DeviceMinor & MaxOctal7);
        block.AsSpan(148, 8).Fill((byte)' ');
        int sum = 0;
        foreach (byte b in block)
        {
            sum += b;
        }

        Octal(block, 148, 7, sum);
        return block;
    }

    private static void Put(byte[] block, int offset, int length, PosixPath text)
    {
        byte[] bytes = text.ToBytes();
        bytes.AsSpan(0, Math.Min(length, bytes.Length)).CopyTo(block.AsSpan(offset));
    }

    /// <summary>Leading zeros and a NUL at the end.</summary>
    private static void Octal(byte[] block, int offset, int length, long value)
    {
        block[offset + length - 1] = 0;
        for (int i = offset + length - 2; i >= offset; i--)
        {
            block[i] = (byte)('0' + (value & 7));
            value >>= 3;
        }
    }
}
