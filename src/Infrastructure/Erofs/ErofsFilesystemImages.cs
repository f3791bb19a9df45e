using System.Buffers;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Erofs;

/// <summary>The use cases' door to the EROFS writer and reader.</summary>
/// <param name="spoolDirectory">For large images while they are built; null for <see cref="SpooledMemory.DefaultDirectory"/>.</param>
internal sealed class ErofsFilesystemImages(string? spoolDirectory = null) : IFilesystemImages
{
    public BuiltFilesystem Build(FileTree tree)
    {
        IMemoryOwner<byte> image = ErofsWriter.Rent(tree, spoolDirectory);
        try
        {
            return new BuiltFilesystem(image, SpooledMemory.Hash(image.Memory));
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    public FilesystemImageContents ReadContents(ReadOnlyMemory<byte> image)
    {
        FilesystemImage opened = ErofsReader.Open(image);
        return new FilesystemImageContents(opened.Contents);
    }

    public KnownImage ReadNames(ReadOnlyMemory<byte> image, Digest digest)
    {
        FilesystemImage opened = ErofsReader.Open(image);
        ContentNames names = new(opened.Names);
        return new KnownImage(digest, opened.Contents, names);
    }

    public FileTree ReadTree(ReadOnlyMemory<byte> image) => ErofsReader.Open(image).ReadTree();
}
