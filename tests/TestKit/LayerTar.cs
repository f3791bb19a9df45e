using System.Globalization;
using System.Text;
using Starlight.Domain.Trees;

namespace Starlight.TestKit;

/// <summary>
/// Writes layer entries as an uncompressed tar, every one with a PAX header (POSIX.1-2017, pax, "pax Interchange Format") that says what
/// ustar cannot: large owners, times with nanoseconds, xattrs in the <c>SCHILY.xattr.</c> convention.
/// </summary>
public static class LayerTar
{
    private const int Record = 512;

    public static byte[] Write(IEnumerable<LayerEntry> entries)
    {
        MemoryStream tar = new();
        foreach (LayerEntry entry in entries)
        {
            byte[] content = entry.Kind == FileKind.Regular ? LayerEntries.ContentOf(entry.Content) : [];
            byte[] name = Encoding.Latin1.GetBytes("./" + entry.Path.Raw + (entry.Kind == FileKind.Directory && !entry.Path.IsEmpty ? "/" : ""));
            MemoryStream pax = new();
            AddRecord(pax, "path", name);
            AddRecord(pax, "mtime", Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{entry.MtimeSeconds}.{entry.MtimeNanoseconds:D9}")));
            AddRecord(pax, "uid", Encoding.ASCII.GetBytes(entry.Uid.ToString(CultureInfo.InvariantCulture)));
            AddRecord(pax, "gid", Encoding.ASCII.GetBytes(entry.Gid.ToString(CultureInfo.InvariantCulture)));
            if (!entry.LinkTarget.IsEmpty)
            {
                AddRecord(pax, "linkpath", entry.LinkTarget.ToBytes());
            }

            foreach (Xattr xattr in entry.Xattrs)
            {
                AddRecord(pax, "SCHILY.xattr." + xattr.Name.Raw, xattr.Value.ToArray());
            }

            AddHeader(tar, 'x', 0, (int)pax.Length, 0, 0);
            AddData(tar, pax.ToArray());
            AddHeader(tar, TypeFlag(entry.Kind), entry.Mode, content.Length, entry.DeviceMajor, entry.DeviceMinor);
            AddData(tar, content);
        }

        tar.Write(new byte[2 * Record]);
        return tar.ToArray();
    }

    private static char TypeFlag(FileKind kind) => kind switch
    {
        FileKind.Regular => '0',
        FileKind.HardLink => '1',
        FileKind.Symlink => '2',
        FileKind.CharacterDevice => '3',
        FileKind.BlockDevice => '4',
        FileKind.Directory => '5',
        _ => '6',
    };

    private static void AddHeader(MemoryStream tar, char type, ushort mode, int size, uint major, uint minor)
    {
        byte[] header = new byte[Record];
        Put(header, 0, "entry");
        Put(header, 100, Octal(mode, 7));
        Put(header, 108, Octal(0, 7));
        Put(header, 116, Octal(0, 7));
        Put(header, 124, Octal(size, 11));
        Put(header, 136, Octal(0, 11));
        Put(header, 148, "        ");
        header[156] = (byte)type;
        Put(header, 257, "ustar\000");
        Put(header, 329, Octal((int)major, 7));
        Put(header, 337, Octal((int)minor, 7));
        Put(header, 148, Octal(header.Sum(static unit => unit), 6) + "\0 ");
        tar.Write(header);
    }

    private static void AddData(MemoryStream tar, byte[] data)
    {
        tar.Write(data);
        tar.Write(new byte[(Record - (data.Length % Record)) % Record]);
    }

    /// <summary>"length key=value\n", where the length counts its own digits.</summary>
    private static void AddRecord(MemoryStream pax, string key, byte[] value)
    {
        byte[] rest = [(byte)' ', .. Encoding.Latin1.GetBytes(key), (byte)'=', .. value, (byte)'\n'];
        int length = rest.Length + 1;
        while (length != rest.Length + length.ToString(CultureInfo.InvariantCulture).Length)
        {
            length++;
        }

        pax.Write(Encoding.ASCII.GetBytes(length.ToString(CultureInfo.InvariantCulture)));
        pax.Write(rest);
    }

    private static string Octal(int value, int digits) => Convert.ToString(value, 8).PadLeft(digits, '0');

    private static void Put(byte[] header, int offset, string text) => Encoding.Latin1.GetBytes(text, header.AsSpan(offset));
}
