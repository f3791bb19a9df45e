using System.Buffers.Binary;
using System.Text;

namespace Starlight.Domain.UnitTests.Ordering;

/// <summary>Writes the smallest ELF file that says what it needs: header, program headers, strings, dynamic section. Strings are mapped at 0x10000.</summary>
internal static class ElfSample
{
    private const int StringsAddress = 0x10000;

    public static byte[] Build(string? interpreter = null, string[]? needed = null, string? runpath = null, string? rpath = null, bool wide = true, bool bigEndian = false, ushort machine = 62)
    {
        MemoryStream strings = new();
        strings.WriteByte(0);
        List<(long Tag, long Value)> dynamic = [.. (needed ?? []).Select(n => (1L, Text(n)))];
        if (runpath is not null)
        {
            dynamic.Add((29, Text(runpath)));
        }

        if (rpath is not null)
        {
            dynamic.Add((15, Text(rpath)));
        }

        long interpreterAt = interpreter is null ? -1 : Text(interpreter);
        dynamic.Add((5, StringsAddress));
        dynamic.Add((0, 0));

        int word = wide ? 8 : 4;
        int headers = wide ? 64 : 52;
        int entry = wide ? 56 : 32;
        int stringsAt = headers + (3 * entry);
        int dynamicAt = stringsAt + (int)strings.Length;
        byte[] file = new byte[dynamicAt + (dynamic.Count * 2 * word)];
        "\u007fELF"u8.CopyTo(file);
        file[4] = wide ? (byte)2 : (byte)1;
        file[5] = bigEndian ? (byte)2 : (byte)1;
        Half(18, machine);
        Word(wide ? 32 : 28, headers);
        Half(wide ? 54 : 42, (ushort)entry);
        Half(wide ? 56 : 44, 3);
        Segment(0, 1, stringsAt, StringsAddress, strings.Length);
        Segment(1, 2, dynamicAt, 0x20000, dynamic.Count * 2 * word);
        Segment(2, interpreter is null ? 4 : 3, stringsAt + Math.Max(0, interpreterAt), 0, interpreter?.Length + 1 ?? 0);
        strings.ToArray().CopyTo(file, stringsAt);
        for (int i = 0; i < dynamic.Count; i++)
        {
            Word(dynamicAt + (i * 2 * word), dynamic[i].Tag);
            Word(dynamicAt + (((i * 2) + 1) * word), dynamic[i].Value);
        }

        return file;

        long Text(string text)
        {
            long at = strings.Length;
            strings.Write(Encoding.Latin1.GetBytes(text + "\0"));
            return at;
        }

        void Half(int at, ushort value)
        {
            Span<byte> target = file.AsSpan(at);
            if (bigEndian)
            {
                BinaryPrimitives.WriteUInt16BigEndian(target, value);
            }
            else
            {
                BinaryPrimitives.WriteUInt16LittleEndian(target, value);
            }
        }

        void Word(int at, long value)
        {
            Span<byte> raw = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(raw, value);
            raw = raw[..word];
            if (bigEndian)
            {
                raw.Reverse();
            }

            raw.CopyTo(file.AsSpan(at));
        }

        void Segment(int index, int type, long offset, long address, long size)
        {
            int at = headers + (index * entry);
            file[bigEndian ? at + 3 : at] = (byte)type;
            Word(at + (wide ? 8 : 4), offset);
            Word(at + (wide ? 16 : 8), address);
            Word(at + (wide ? 32 : 16), size);
        }
    }
}
