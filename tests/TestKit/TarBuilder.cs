using System.Globalization;
using System.Text;

namespace Starlight.TestKit;

/// <summary>
/// Writes tar archives byte by byte, odd ones too, without using any product code. Names are Latin-1: one char per byte.
/// Formats: POSIX.1-2017 pax; GNU tar manual "Basic Tar Format".
/// </summary>
public sealed class TarBuilder
{
    private readonly MemoryStream _tar = new();

    public bool Gnu { get; set; }

    public bool V7 { get; set; }

    public TarBuilder Directory(string name, int mode = 0x1ed) => Header(new TarHeaderFields(name) { Type = '5', Mode = mode });

    public TarBuilder File(string name, string content, int mode = 0x1a4) => File(name, Encoding.Latin1.GetBytes(content), mode);

    public TarBuilder File(string name, byte[] content, int mode = 0x1a4) => Header(new TarHeaderFields(name) { Mode = mode, Size = content.Length }).Content(content);

    public TarBuilder Symlink(string name, string target) => Header(new TarHeaderFields(name) { Type = '2', LinkName = target, Mode = 0x1ff });

    public TarBuilder HardLink(string name, string target, long size = 0) => Header(new TarHeaderFields(name) { Type = '1', LinkName = target, Size = size });

    /// <summary>A pax extended header ('x' or, global, 'g') for what follows.</summary>
    public TarBuilder Pax(char type, params (string Key, string Value)[] records)
    {
        byte[] body = [.. records.SelectMany(r => Record(r.Key, r.Value))];
        return PaxRaw(body, type);
    }

    public TarBuilder PaxRaw(byte[] body, char type = 'x') => Header(new TarHeaderFields("PaxHeaders/x") { Type = type, Size = body.Length }).Content(body);

    /// <summary>GNU 'L' (name) or 'K' (link target).</summary>
    public TarBuilder GnuLong(char type, string text)
    {
        byte[] body = Encoding.Latin1.GetBytes(text + "\0");
        return Header(new TarHeaderFields("././@LongLink") { Type = type, Size = body.Length }).Content(body);
    }

    /// <summary>Bytes and their padding to a whole block.</summary>
    public TarBuilder Content(byte[] content)
    {
        _tar.Write(content);
        _tar.Write(new byte[-content.Length & 511]);
        return this;
    }

    public TarBuilder Raw(byte[] bytes)
    {
        _tar.Write(bytes);
        return this;
    }

    public TarBuilder Header(TarHeaderFields fields)
    {
        byte[] block = new byte[512];
        Text(block, 0, 100, fields.Name);
        Number(block, 100, 8, fields.Mode);
        Number(block, 108, 8, fields.Uid);
        Number(block, 116, 8, fields.Gid);
        Number(block, 124, 12, fields.Size);
        Number(block, 136, 12, fields.Mtime);
        block[156] = (byte)fields.Type;
        Text(block, 157, 100, fields.LinkName);
        if (!V7)
        {
            Text(block, 257, 8, Gnu ? "ustar  \0" : "ustar\0" + "00");
            Text(block, 265, 32, fields.UserName);
            Text(block, 297, 32, fields.GroupName);
            Number(block, 329, 8, fields.DeviceMajor);
            Number(block, 337, 8, fields.DeviceMinor);
            Text(block, 345, 155, fields.Prefix);
        }

        fields.Edit?.Invoke(block);
        Encoding.ASCII.GetBytes("        ").CopyTo(block, 148);
        long sum = fields.SignedChecksum ? block.Sum(b => (long)(sbyte)b) : block.Sum(b => (long)b);
        Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(block, 148);
        fields.EditAfterChecksum?.Invoke(block);
        _tar.Write(block);
        return this;
    }

    /// <summary>The archive with its two zero blocks.</summary>
    public byte[] Build() => [.. _tar.ToArray(), .. new byte[1024]];

    public byte[] BuildWithoutEnd() => _tar.ToArray();

    /// <summary>"LENGTH KEY=VALUE\n", the length counting itself.</summary>
    public static byte[] Record(string key, string value)
    {
        int rest = key.Length + value.Length + 3;
        int length = rest + rest.ToString(CultureInfo.InvariantCulture).Length;
        if (rest + length.ToString(CultureInfo.InvariantCulture).Length != length)
        {
            length++;
        }

        return Encoding.Latin1.GetBytes($"{length.ToString(CultureInfo.InvariantCulture)} {key}={value}\n");
    }

    private static void Text(byte[] block, int offset, int length, string text)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        bytes.AsSpan(0, Math.Min(length, bytes.Length)).CopyTo(block.AsSpan(offset));
    }

    private static void Number(byte[] block, int offset, int length, long value)
    {
        string octal = value < 0 ? "" : Convert.ToString(value, 8);
        if (value >= 0 && octal.Length < length)
        {
            Text(block, offset, length, octal.PadLeft(length - 1, '0'));
            return;
        }

        // base-256: big-endian two's complement with the top bit set
        for (int i = length - 1; i >= 0; i--)
        {
            block[offset + i] = (byte)value;
            value >>= 8;
        }

        block[offset] |= 0x80;
    }
}

/// <summary>The fields of one header block.</summary>
public sealed record TarHeaderFields(string Name)
{
    public char Type { get; init; } = '0';

    public string LinkName { get; init; } = "";

    public string Prefix { get; init; } = "";

    public int Mode { get; init; } = 0x1a4;

    public long Uid { get; init; }

    public long Gid { get; init; }

    public long Size { get; init; }

    public long Mtime { get; init; }

    public string UserName { get; init; } = "";

    public string GroupName { get; init; } = "";

    public long DeviceMajor { get; init; }

    public long DeviceMinor { get; init; }

    public bool SignedChecksum { get; init; }

    /// <summary>Changes the block before its checksum is computed.</summary>
    public Action<byte[]>? Edit { get; init; }

    public Action<byte[]>? EditAfterChecksum { get; init; }
}
