using System.Globalization;
using System.Text;

namespace Starlight.Domain.Snapshots.Filters;

/// <summary>
/// Cuts a filter into tokens exactly as containerd does (filters/scanner.go), including its one context rule: after an operator everything up to a comma or a space is a
/// value, so <c>labels."containerd.io/snapshot.ref"==sha256:ab…</c> needs no quotes on the right.
/// </summary>
internal sealed class FilterScanner(string input)
{
    private const int EndOfInput = -1;
    private const int BrokenRune = -2;

    private int _position;
    private bool _valueExpected;

    /// <summary>Where the next rune starts.</summary>
    public int Position => _position;

    /// <summary>The first problem met, once an Illegal token was returned.</summary>
    public string Problem { get; private set; } = "";

    /// <summary>The next rune, or a negative number at the end or at broken text. Moves nothing.</summary>
    public int Peek() => Read(out _);

    public FilterToken Scan(out int start, out string text)
    {
        int rune;
        do
        {
            start = _position;
            rune = Next();
        }
        while (rune >= 0 && IsSpace(rune));

        FilterToken token = rune switch
        {
            EndOfInput => FilterToken.End,
            BrokenRune => FilterToken.Illegal,
            '/' or '|' or '"' => Quoted(rune),
            ',' or '.' => Separator(),
            '=' or '!' or '~' => Operator(),
            _ when _valueExpected => Value(),
            _ when IsFieldRune(rune) => Field(),
            _ => FilterToken.Stray,
        };
        text = input[start.._position];
        return token;
    }

    private FilterToken Separator()
    {
        _valueExpected = false;
        return FilterToken.Separator;
    }

    private FilterToken Operator()
    {
        while (Peek() is '=' or '!' or '~')
        {
            Next();
        }

        _valueExpected = true;
        return FilterToken.Operator;
    }

    private FilterToken Value()
    {
        while (IsValueRune(Peek()))
        {
            Next();
        }

        _valueExpected = false;
        return FilterToken.Value;
    }

    private FilterToken Field()
    {
        while (IsFieldRune(Peek()))
        {
            Next();
        }

        return FilterToken.Field;
    }

    private FilterToken Quoted(int quote)
    {
        bool legal = true;
        int rune = Next();
        while (rune != quote)
        {
            if (rune == '\n' || rune < 0)
            {
                Report("quoted literal not terminated");
                return FilterToken.Illegal;
            }

            if (rune == '\\')
            {
                legal &= Escape(quote, out rune);
            }
            else
            {
                rune = Next();
            }
        }

        return legal ? FilterToken.Quoted : FilterToken.Illegal;
    }

    private bool Escape(int quote, out int following)
    {
        int rune = Next();
        switch (rune)
        {
            case 'a' or 'b' or 'f' or 'n' or 'r' or 't' or 'v' or '\\':
            case var _ when rune == quote:
                following = Next();
                return true;
            case >= '0' and <= '7':
                return Digits(rune, 8, 3, out following);
            case 'x':
                return Digits(Next(), 16, 2, out following);
            case 'u':
                return Digits(Next(), 16, 4, out following);
            case 'U':
                return Digits(Next(), 16, 8, out following);
            default:
                Report("illegal escape sequence");
                following = rune;
                return false;
        }
    }

    private bool Digits(int rune, int numberBase, int count, out int following)
    {
        while (count > 0 && DigitValue(rune) < numberBase)
        {
            rune = Next();
            count--;
        }

        following = rune;
        if (count > 0)
        {
            Report("illegal numeric escape sequence");
            return false;
        }

        return true;
    }

    private int Next()
    {
        int rune = Read(out int length);
        _position += length;
        if (rune == BrokenRune)
        {
            Report(length == 1 && input[_position - 1] == '\0' ? "unexpected null" : "rune error");
        }

        return rune;
    }

    private int Read(out int length)
    {
        length = 0;
        if (_position >= input.Length)
        {
            return EndOfInput;
        }

        // U+FFFD is refused like broken UTF-8, which Go cannot tell from it.
        bool whole = Rune.DecodeFromUtf16(input.AsSpan(_position), out Rune rune, out length) == System.Buffers.OperationStatus.Done;
        return !whole || rune.Value == 0 || rune == Rune.ReplacementChar ? BrokenRune : rune.Value;
    }

    private void Report(string problem) => Problem = Problem.Length == 0 ? problem : Problem;

    private static int DigitValue(int rune) => rune switch
    {
        >= '0' and <= '9' => rune - '0',
        >= 'a' and <= 'f' => rune - 'a' + 10,
        >= 'A' and <= 'F' => rune - 'A' + 10,
        _ => int.MaxValue,
    };

    private static bool IsFieldRune(int rune) => rune is '_' or (>= 'A' and <= 'Z') or (>= 'a' and <= 'z') or (>= '0' and <= '9');

    private static bool IsSpace(int rune) => Rune.IsWhiteSpace(new Rune(rune));

    /// <summary>Go's unicode.IsGraphic without spaces and the comma.</summary>
    private static bool IsValueRune(int rune) =>
        rune >= 0 && rune != ',' && !IsSpace(rune) && Rune.GetUnicodeCategory(new Rune(rune)) is not (
            UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
            or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);
}
