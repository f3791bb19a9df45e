using System.Buffers;
using System.Text;

namespace Starlight.Domain.Snapshots.Filters;

/// <summary>Go string literals as containerd's filters know them (filters/quote.go): <c>"…"</c>, and <c>/…/</c> and <c>|…|</c> with the same escapes.</summary>
internal static class FilterQuoting
{
    /// <summary>The text a quoted token stands for, or null if it is no legal literal. <c>\xNN</c> and octal escapes are bytes of UTF-8, <c>\u</c> and <c>\U</c> are code points.</summary>
    public static string? Unquote(ReadOnlySpan<char> literal)
    {
        if (literal.Length < 2 || literal[0] != literal[^1])
        {
            return null;
        }

        char quote = literal[0];
        ReadOnlySpan<char> rest = literal[1..^1];
        var bytes = new ArrayBufferWriter<byte>(rest.Length + 4);
        while (rest.Length > 0)
        {
            if (rest[0] == quote || rest[0] == '\n')
            {
                return null;
            }

            int used = rest[0] == '\\' ? Escape(rest, quote, bytes) : Plain(rest, bytes);
            if (used == 0)
            {
                return null;
            }

            rest = rest[used..];
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    private static int Plain(ReadOnlySpan<char> rest, ArrayBufferWriter<byte> bytes)
    {
        Rune.DecodeFromUtf16(rest, out Rune rune, out int used);
        Append(rune, bytes);
        return used;
    }

    /// <summary>Characters used up, or 0 if the escape is illegal.</summary>
    private static int Escape(ReadOnlySpan<char> rest, char quote, ArrayBufferWriter<byte> bytes)
    {
        if (rest.Length < 2)
        {
            return 0;
        }

        switch (rest[1])
        {
            case 'a': return Single('\a', bytes);
            case 'b': return Single('\b', bytes);
            case 'f': return Single('\f', bytes);
            case 'n': return Single('\n', bytes);
            case 'r': return Single('\r', bytes);
            case 't': return Single('\t', bytes);
            case 'v': return Single('\v', bytes);
            case '\\': return Single('\\', bytes);
            case 'x': return Number(rest, 2, 2, 16, bytes, isByte: true);
            case 'u': return Number(rest, 2, 4, 16, bytes, isByte: false);
            case 'U': return Number(rest, 2, 8, 16, bytes, isByte: false);
            case >= '0' and <= '7': return Number(rest, 1, 3, 8, bytes, isByte: true);
            case var c when c == quote: return Single(quote, bytes);
            default: return 0;
        }
    }

    private static int Single(char value, ArrayBufferWriter<byte> bytes)
    {
        bytes.Write([(byte)value]);
        return 2;
    }

    private static int Number(ReadOnlySpan<char> rest, int start, int digits, int numberBase, ArrayBufferWriter<byte> bytes, bool isByte)
    {
        if (rest.Length < start + digits)
        {
            return 0;
        }

        long value = 0;
        foreach (char c in rest.Slice(start, digits))
        {
            int digit = char.IsAsciiHexDigit(c) ? Convert.ToInt32(c.ToString(), 16) : int.MaxValue;
            if (digit >= numberBase)
            {
                return 0;
            }

            value = (value * numberBase) + digit;
        }

        if (isByte)
        {
            if (value > byte.MaxValue)
            {
                return 0;
            }

            bytes.Write([(byte)value]);
        }
        else if (value > 0x10FFFF)
        {
            return 0;
        }
        else
        {
            Append(Rune.TryCreate((int)value, out Rune rune) ? rune : Rune.ReplacementChar, bytes);
        }

        return start + digits;
    }

    private static void Append(Rune rune, ArrayBufferWriter<byte> bytes)
    {
        Span<byte> encoded = bytes.GetSpan(4);
        bytes.Advance(rune.EncodeToUtf8(encoded));
    }
}
