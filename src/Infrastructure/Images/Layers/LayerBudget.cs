using Starlight.Infrastructure.Images.Tar;

namespace Starlight.Infrastructure.Images.Layers;

/// <summary>What a layer may make us keep in memory. Both limits are arbitrary, ten times the largest layers seen (monorepo checkouts with 400,000 files).</summary>
internal struct LayerBudget
{
    public const int MaxEntries = 4_000_000;

    /// <summary>All paths and link targets of one layer together.</summary>
    public const long MaxPathBytes = 256L << 20;

    private int _entries;
    private long _pathBytes;

    public void Take(TarEntry entry)
    {
        _entries++;
        _pathBytes += entry.Name.Length + entry.LinkName.Length;
        if (_entries > MaxEntries || _pathBytes > MaxPathBytes)
        {
            throw LayerFailures.TooLarge($"it has more than {MaxEntries} entries or {MaxPathBytes} bytes of paths");
        }
    }
}
