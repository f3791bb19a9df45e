using Starlight.Domain.Images;

namespace Starlight.Infrastructure.Images.Sources;

/// <summary>The rule for parts of blobs, the same for every source.</summary>
internal static class BlobRange
{
    /// <summary>A part must lie within the blob: offsets come from a TOC that the caller has checked, so anything else is its mistake.</summary>
    public static void Check(Descriptor descriptor, long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, descriptor.Size);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, descriptor.Size - offset);
    }
}
