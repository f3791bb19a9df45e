using System.Buffers;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Bundles;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Erofs;

/// <summary>The use cases' door to the EROFS writer and reader.</summary>
/// <param name="spoolDirectory">For large images while they are built; null for the system's directory for temporary files.</param>
internal sealed class ErofsFilesystemImages(string? spoolDirectory = null) : IFilesystemImages
{
    public BuiltFilesystem Build(FileTree tree)
    {
        IMemoryOwner<byte> image = ErofsWriter.Rent(tree, spoolDirectory);
        return new BuiltFilesystem(image, SpooledMemory.Hash(image.Memory));
    }

    public FilesystemImageContents ReadContents(ReadOnlyMemory<byte> image)
    {
        FilesystemImage opened = ErofsReader.Open(image);
        return new FilesystemImageContents(opened.Digest, opened.Contents);
    }

    public KnownImage ReadNames(ReadOnlyMemory<byte> image)
    {
        FilesystemImage opened = ErofsReader.Open(image);
        ContentNames names = new(opened.Names);
        return new KnownImage(opened.Digest, opened.Contents, names);
    }

    public FileTree ReadTree(ReadOnlyMemory<byte> image) => ErofsReader.Open(image).ReadTree();
}
