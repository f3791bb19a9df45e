using Starlight.Domain.Snapshots;

namespace Starlight.Domain.UnitTests.Snapshots;

internal static class Samples
{
    public static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    public static SnapshotKey Key(string text) => SnapshotKey.Parse(text).Value;

    public static Snapshot Snapshot(
        string key, SnapshotKind kind, string? parent = null, (string Key, string Value)[]? labels = null, long id = 1, string? providedChainId = null) =>
        new(
            id,
            Key(key),
            kind,
            parent is null ? null : Key(parent),
            (labels ?? []).ToDictionary(label => label.Key, label => label.Value),
            Now,
            Now,
            Usage: default,
            providedChainId);
}
