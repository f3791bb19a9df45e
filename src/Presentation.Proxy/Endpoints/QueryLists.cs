using Microsoft.Extensions.Primitives;

namespace Starlight.Presentation.Proxy.Endpoints;

internal static class QueryLists
{
    /// <summary>A parameter that may be repeated, and each time hold a comma-separated list; empty parts count for nothing.</summary>
    public static IEnumerable<string> Read(StringValues values) =>
        values.SelectMany(v => (v ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
}
