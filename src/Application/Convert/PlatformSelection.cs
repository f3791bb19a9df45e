using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Convert;

/// <summary>Which images of an index are meant: all, or those of some platforms.</summary>
public sealed record PlatformSelection
{
    private PlatformSelection(IReadOnlyList<Platform>? platforms) => Platforms = platforms;

    public static PlatformSelection All { get; } = new(platforms: null);

    /// <summary>Null for all.</summary>
    public IReadOnlyList<Platform>? Platforms { get; }

    public static PlatformSelection Of(params IReadOnlyList<Platform> platforms) =>
        platforms.Count > 0 ? new PlatformSelection([.. platforms.Distinct()]) : throw new ArgumentException("an empty selection selects nothing", nameof(platforms));

    /// <summary><c>all</c>, or platforms separated by commas: <c>linux/amd64,linux/arm64</c>.</summary>
    public static Result<PlatformSelection> Parse(string? text)
    {
        if (string.Equals(text?.Trim(), "all", StringComparison.OrdinalIgnoreCase))
        {
            return All;
        }

        List<Platform> platforms = [];
        foreach (string part in (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            Result<Platform> platform = Platform.Parse(part);
            if (!platform.IsSuccess)
            {
                return platform.Error;
            }

            platforms.Add(platform.Value);
        }

        return platforms.Count > 0
            ? Of(platforms)
            : new Error("Platform.Malformed", $"'{text}' names no platform: write 'all' or e.g. linux/amd64,linux/arm64", ErrorKind.InvalidInput);
    }

    public bool Contains(Platform platform) => Platforms is null || Platforms.Contains(platform);

    public override string ToString() => Platforms is null ? "all" : string.Join(", ", Platforms);
}
