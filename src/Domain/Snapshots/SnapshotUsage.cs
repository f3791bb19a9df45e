namespace Starlight.Domain.Snapshots;

/// <summary>What a snapshot itself occupies, without its parents.</summary>
/// <param name="Size">Bytes allocated on disk (512-byte blocks counted, so holes are free), each inode once.</param>
/// <param name="Inodes">Distinct inodes: hard links count once.</param>
public readonly record struct SnapshotUsage(long Size, long Inodes);
