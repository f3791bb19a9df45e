using System.Buffers;

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

/// <summary>
/// The old bytes that a part of a new content is compared with. Shared by the blocks that need them, which are compressed side by side: whoever keeps one holds a reference, and the last
/// to let go returns the buffers.
/// </summary>
/// <param name="bytes">All of the old content or a window of it.</param>
/// <param name="offset">Of the window in the old content.</param>
/// <param name="rented">The buffer that <paramref name="bytes"/> lie in if it is to be returned to the pool.</param>
internal sealed class BaseWindow(ReadOnlyMemory<byte> bytes, long offset, byte[]? rented = null)
{
    private readonly Lazy<BaseIndex> _index = new(() => new BaseIndex(bytes));
    private int _references = 1;

    public long Offset => offset;

    /// <summary>Made by the first block that needs it, for all.</summary>
    public BaseIndex Index => _index.Value;

    public BaseWindow Retain()
    {
        Interlocked.Increment(ref _references);
        return this;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _references) > 0)
        {
            return;
        }

        if (_index.IsValueCreated)
        {
            _index.Value.Return();
        }

        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}

/// <summary><see cref="PatchPart"/> for the side that makes patches. Holds a reference to its window.</summary>
internal readonly record struct FreshPart(int Length, long Offset, BaseWindow? Window);
