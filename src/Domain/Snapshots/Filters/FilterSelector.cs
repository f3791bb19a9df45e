using System.Text.RegularExpressions;

namespace Starlight.Domain.Snapshots.Filters;

internal enum FilterOperator
{
    /// <summary>No operator: the field is there.</summary>
    Present,

    /// <summary><c>==</c></summary>
    Equal,

    /// <summary><c>!=</c>, which an absent field fulfils.</summary>
    NotEqual,

    /// <summary><c>~=</c>, a regular expression that may match anywhere; an absent field is matched as the empty string.</summary>
    Matches,
}

/// <summary>One condition: <c>fieldpath[operator value]</c>.</summary>
internal sealed class FilterSelector(IReadOnlyList<string> fieldPath, FilterOperator @operator, string value)
{
    /// <summary>Null for an expression that does not compile, which matches nothing (containerd logs it and goes on).</summary>
    private readonly Regex? _expression = @operator == FilterOperator.Matches ? GoRegularExpression.TryCompile(value) : null;

    public bool Matches(FieldReader read)
    {
        string? field = read(fieldPath);
        return @operator switch
        {
            FilterOperator.Present => field is not null,
            FilterOperator.Equal => field == value,
            FilterOperator.NotEqual => (field ?? "") != value,
            FilterOperator.Matches => _expression?.IsMatch(field ?? "") ?? false,
            _ => throw new InvalidOperationException($"unknown filter operator {@operator}"),
        };
    }
}
