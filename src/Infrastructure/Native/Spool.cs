using System.Buffers;

namespace Starlight.Infrastructure.Native;

/// <summary>Where this program's <see cref="SpooledMemory"/> lies.</summary>
/// <param name="Directory">On a disk; null for the system's directory for temporary files.</param>
internal sealed record Spool(string? Directory)
{
    /// <inheritdoc cref="SpooledMemory.Rent"/>
    public IMemoryOwner<byte> Rent(int length) => SpooledMemory.Rent(length, Directory);
}

/// <summary>A part of memory that somebody else's owner lets go of with it.</summary>
internal sealed class PartOfMemory(IMemoryOwner<byte> whole, int start, int length) : IMemoryOwner<byte>
{
    public Memory<byte> Memory => whole.Memory.Slice(start, length);

    public void Dispose() => whole.Dispose();
}
