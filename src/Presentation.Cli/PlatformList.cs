using Starlight.Domain.Images;

namespace Starlight.Presentation.Cli;

internal static class PlatformList
{
    /// <summary><c>linux/amd64,linux/arm64</c>; <c>all</c>, empty or null mean every platform and give an empty list.</summary>
    public static IReadOnlyList<Platform> Parse(string? text) =>
        string.IsNullOrWhiteSpace(text) || text.Equals("all", StringComparison.OrdinalIgnoreCase)
            ? []
            : [.. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(p => Platform.Parse(p).Value)];
}
