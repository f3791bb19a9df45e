using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Snapshots.Filters;

/// <summary>Recursive descent over <see cref="FilterScanner"/>; grammar at <see cref="SnapshotFilter"/>. Messages point at the place like containerd's: <c>[labels. &gt;|?|&lt; x]</c>.</summary>
internal sealed class FilterParser
{
    private readonly string _input;
    private readonly FilterScanner _scanner;

    private FilterParser(string input) => (_input, _scanner) = (input, new FilterScanner(input));

    /// <summary>The conditions of one filter; none for the empty string.</summary>
    public static Result<IReadOnlyList<FilterSelector>> Parse(string input)
    {
        if (input.Length == 0)
        {
            return Array.Empty<FilterSelector>();
        }

        try
        {
            return new FilterParser(input).Selectors();
        }
        catch (FilterFormatException malformed)
        {
            return new Error("SnapshotFilter.Malformed", malformed.Message, ErrorKind.InvalidInput);
        }
    }

    private List<FilterSelector> Selectors()
    {
        List<FilterSelector> selectors = [Selector()];
        while (_scanner.Peek() is var next and not -1)
        {
            if (next != ',')
            {
                throw Malformed(_scanner.Position, "unexpected input: expected a comma");
            }

            _scanner.Scan(out _, out _);
            selectors.Add(Selector());
        }

        return selectors;
    }

    private FilterSelector Selector()
    {
        List<string> path = [Field()];
        while (_scanner.Peek() == '.')
        {
            _scanner.Scan(out _, out _);
            path.Add(Field());
        }

        if (_scanner.Peek() is ',' or -1)
        {
            return new FilterSelector(path, FilterOperator.Present, "");
        }

        FilterOperator @operator = Operator();
        return new FilterSelector(path, @operator, Value(@operator));
    }

    private string Field() => _scanner.Scan(out int start, out string text) switch
    {
        FilterToken.Field => text,
        FilterToken.Quoted => Unquote(start, text, anyQuote: false),
        FilterToken.Illegal => throw Malformed(start, _scanner.Problem),
        _ => throw Malformed(start, "expected field or quoted"),
    };

    private FilterOperator Operator() => (_scanner.Scan(out int start, out string text), text) switch
    {
        (FilterToken.Operator, "==") => FilterOperator.Equal,
        (FilterToken.Operator, "!=") => FilterOperator.NotEqual,
        (FilterToken.Operator, "~=") => FilterOperator.Matches,
        (FilterToken.Operator, _) => throw Malformed(start, $"unsupported operator \"{text}\""),
        (FilterToken.Illegal, _) => throw Malformed(start, _scanner.Problem),
        _ => throw Malformed(start, "expected an operator (\"==\"|\"!=\"|\"~=\")"),
    };

    private string Value(FilterOperator @operator) => _scanner.Scan(out int start, out string text) switch
    {
        FilterToken.Value or FilterToken.Field => text,
        FilterToken.Quoted => Unquote(start, text, anyQuote: @operator == FilterOperator.Matches),
        FilterToken.Illegal => throw Malformed(start, _scanner.Problem),
        _ => throw Malformed(start, "expected value or quoted"),
    };

    private string Unquote(int start, string text, bool anyQuote)
    {
        if (!anyQuote && text[0] != '"')
        {
            throw Malformed(start, "invalid quote encountered");
        }

        return FilterQuoting.Unquote(text) ?? throw Malformed(start, "unquoting failed: quote syntax error");
    }

    private FilterFormatException Malformed(int position, string problem) => new(
        position < _input.Length
            ? $"filters: parse error: [{_input[..position]} >|{_input[position]}|< {_input[(position + 1)..]}]: {problem}"
            : $"filters: parse error: [{_input}]: {problem}");

    private sealed class FilterFormatException(string message) : Exception(message);
}
