using System.Globalization;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Settings;

/// <summary>How much room contents may take: <c>200GB</c>, <c>512MiB</c>, <c>40%</c> of the disk that the data directory is on, or <c>none</c>.</summary>
internal static class StoreLimit
{
    /// <summary>Less holds no image that is worth a cache.</summary>
    private const long Smallest = 1 << 20;

    private static readonly (string Suffix, long Factor)[] Units =
    [
        ("KIB", 1L << 10), ("MIB", 1L << 20), ("GIB", 1L << 30), ("TIB", 1L << 40), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1), ("", 1),
    ];

    /// <exception cref="FailureException">InvalidInput <c>Config.Malformed</c>.</exception>
    public static long Parse(string text, string dataDirectory)
    {
        string upper = text.Trim().ToUpperInvariant();
        if (upper == "NONE")
        {
            return long.MaxValue;
        }

        if (upper.EndsWith('%'))
        {
            return double.TryParse(upper[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double percent) && percent is > 0 and <= 100
                ? Math.Max(Smallest, (long)(DiskOf(dataDirectory).TotalSize * percent / 100))
                : throw Malformed(text);
        }

        (string suffix, long factor) = Units.First(u => upper.EndsWith(u.Suffix, StringComparison.Ordinal));
        return decimal.TryParse(upper[..^suffix.Length].Trim(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number) && number * factor >= Smallest && number * factor < long.MaxValue
            ? (long)(number * factor)
            : throw Malformed(text);
    }

    /// <summary>The directory need not exist yet.</summary>
    private static DriveInfo DiskOf(string directory)
    {
        while (!Directory.Exists(directory))
        {
            directory = Path.GetDirectoryName(directory)!;
        }

        return new DriveInfo(directory);
    }

    private static FailureException Malformed(string text) => new(new Error(
        "Config.Malformed", $"'{text}' is not a store limit: write a size of at least 1MiB (200GB), a part of the disk (40%) or none", ErrorKind.InvalidInput));
}
