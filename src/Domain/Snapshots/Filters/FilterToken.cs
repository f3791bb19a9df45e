namespace Starlight.Domain.Snapshots.Filters;

internal enum FilterToken
{
    End,
    Quoted,
    Value,
    Field,
    Separator,
    Operator,

    /// <summary>A rune that starts no token.</summary>
    Stray,

    /// <summary>Broken text: the scanner's <see cref="FilterScanner.Problem"/> says how.</summary>
    Illegal,
}
