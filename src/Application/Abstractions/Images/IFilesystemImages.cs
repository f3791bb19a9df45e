using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.Application.Abstractions.Images;

/// <summary>Builds and reads filesystem images (docs/formats/filesystem-image.md): the merged tree of an image as one EROFS image without file data.</summary>
public interface IFilesystemImages
{
    /// <summary>Deterministic: the same tree gives the same bytes on every machine.</summary>
    ReadOnlyMemory<byte> Build(FileTree tree);

    /// <summary>Every distinct non-empty content in canonical order: depth-first walk, names in byte order, first occurrence.</summary>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">DataCorrupt <c>FilesystemImage.Malformed</c>.</exception>
    IReadOnlyList<ContentRef> ReadContents(ReadOnlyMemory<byte> image);

    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">DataCorrupt <c>FilesystemImage.Malformed</c>.</exception>
    FileTree ReadTree(ReadOnlyMemory<byte> image);
}
