using System.Buffers;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Native;

/// <summary>Where this program's <see cref="SpooledMemory"/> lies.</summary>
/// <param name="Directory">On a disk; null for the system's directory for temporary files.</param>
internal sealed record Spool(string? Directory)
{
    /// <inheritdoc cref="SpooledMemory.Rent"/>
    public IMemoryOwner<byte> Rent(int length) => SpooledMemory.Rent(length, Directory);

    /// <summary>The same for what must go on when the disk is full, above all what makes room on it: then it is the process's own memory.</summary>
    /// <exception cref="FailureException">Internal <c>Spool.Unusable</c>.</exception>
    public IMemoryOwner<byte> RentAnyway(int length)
    {
        try
        {
            return Rent(length);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.ResourceExhausted)
        {
            return SpooledMemory.Allocate(length);
        }
    }
}

/// <summary>A part of memory that somebody else's owner lets go of with it.</summary>
internal sealed class PartOfMemory(IMemoryOwner<byte> whole, int start, int length) : IMemoryOwner<byte>
{
    public Memory<byte> Memory => whole.Memory.Slice(start, length);

    public void Dispose() => whole.Dispose();
}
