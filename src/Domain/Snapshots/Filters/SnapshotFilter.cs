using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Snapshots.Filters;

/// <summary>The value of a field, or null if the object has no such field.</summary>
internal delegate string? FieldReader(IReadOnlyList<string> fieldPath);

/// <summary>
/// containerd's filter language (filters/filter.go) on snapshots. One filter is a comma-separated list of conditions that must all hold; of several filters one has to:
/// <code>
/// selectors := selector ("," selector)*
/// selector  := fieldpath (operator value)?
/// fieldpath := field ("." field)*
/// field     := quoted | [A-Za-z0-9_]+
/// operator  := "==" | "!=" | "~="
/// value     := quoted | [^\s,]+
/// quoted    := Go string literal; after ~= also in / / or | |
/// </code>
/// Fields: <c>kind</c> (active, view, committed), <c>name</c>, <c>parent</c> (empty without one), <c>labels.KEY</c>.
/// </summary>
public sealed class SnapshotFilter
{
    private readonly List<IReadOnlyList<FilterSelector>> _alternatives;

    private SnapshotFilter(List<IReadOnlyList<FilterSelector>> alternatives) => _alternatives = alternatives;

    /// <summary>Matches everything.</summary>
    public static SnapshotFilter Everything { get; } = new([[]]);

    /// <summary>No filters, or an empty one, match everything. Fails with InvalidInput <c>SnapshotFilter.Malformed</c> and shows where.</summary>
    public static Result<SnapshotFilter> Parse(params IEnumerable<string> filters)
    {
        var alternatives = new List<IReadOnlyList<FilterSelector>>();
        foreach (string filter in filters)
        {
            Result<IReadOnlyList<FilterSelector>> parsed = FilterParser.Parse(filter);
            if (!parsed.IsSuccess)
            {
                return parsed.Error;
            }

            alternatives.Add(parsed.Value);
        }

        return alternatives.Count == 0 ? Everything : new SnapshotFilter(alternatives);
    }

    public bool Matches(Snapshot snapshot) => Matches(path => Field(snapshot, path));

    internal bool Matches(FieldReader read) => _alternatives.Exists(all => all.All(selector => selector.Matches(read)));

    private static string? Field(Snapshot snapshot, IReadOnlyList<string> path) => path[0] switch
    {
        "kind" => snapshot.Kind switch
        {
            SnapshotKind.Active => "active",
            SnapshotKind.View => "view",
            SnapshotKind.Committed => "committed",
            _ => null,
        },
        "name" => snapshot.Key.Value,
        "parent" => snapshot.Parent?.Value ?? "",
        "labels" => snapshot.Labels.GetValueOrDefault(string.Join('.', path.Skip(1))),
        _ => null,
    };
}
