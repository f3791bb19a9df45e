using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Bundles;

/// <summary>A complete image on this worker.</summary>
/// <param name="FilesystemImage">Its bytes are what its digest says.</param>
/// <param name="Contents">In canonical order.</param>
public sealed record BundleBase(ReadOnlyMemory<byte> FilesystemImage, IReadOnlyList<ContentRef> Contents);

/// <summary>What a worker has that patches can be applied to. Safe for concurrent use.</summary>
public interface IBundleBases
{
    /// <summary>The complete image with this filesystem image; null if there is none, or if its file is damaged.</summary>
    BundleBase? FindImage(Digest filesystem);

    /// <summary>Opens a content for reading at any place; null if it is not here. The caller disposes the handle. Its bytes may be damaged: what is made of them has to be verified.</summary>
    SafeFileHandle? OpenContent(Digest content);
}
