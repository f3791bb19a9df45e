namespace Starlight.Infrastructure.Bundles.Patches;

/// <summary>Reads an old content at any place. Used by one thread at a time.</summary>
internal interface IPatchSource
{
    long Length { get; }

    /// <summary>Fills <paramref name="target"/> from <paramref name="offset"/> on; the caller stays within <see cref="Length"/>.</summary>
    void Read(long offset, Span<byte> target);
}

/// <summary>An old content in memory.</summary>
internal sealed class MemoryPatchSource(ReadOnlyMemory<byte> bytes) : IPatchSource
{
    public long Length => bytes.Length;

    public void Read(long offset, Span<byte> target) => bytes.Span.Slice((int)offset, target.Length).CopyTo(target);
}

/// <summary>What a patch makes: a part of a new content, or all of it.</summary>
/// <param name="Length">In bytes.</param>
/// <param name="Offset">Of its first byte in the new content.</param>
/// <param name="Source">The old content; null if there is none, and all bytes are literal.</param>
internal readonly record struct PatchPart(int Length, long Offset, IPatchSource? Source);

/// <summary>The old bytes that a part of a new content is compared with.</summary>
/// <param name="bytes">All of the old content or a window of it.</param>
/// <param name="offset">Of the window in the old content.</param>
internal sealed class BaseWindow(ReadOnlyMemory<byte> bytes, long offset)
{
    private readonly Lazy<BaseIndex> _index = new(() => new BaseIndex(bytes));

    public long Offset => offset;

    /// <summary>Made by the first block that needs it, for all.</summary>
    public BaseIndex Index => _index.Value;
}

/// <summary><see cref="PatchPart"/> for the side that makes patches.</summary>
internal readonly record struct FreshPart(int Length, long Offset, BaseWindow? Window);
