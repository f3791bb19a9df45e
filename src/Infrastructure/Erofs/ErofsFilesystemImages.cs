using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Bundles;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>The use cases' door to the EROFS writer and reader.</summary>
internal sealed class ErofsFilesystemImages : IFilesystemImages
{
    public ReadOnlyMemory<byte> Build(FileTree tree) => ErofsWriter.Build(tree);

    public FilesystemImageContents ReadContents(ReadOnlyMemory<byte> image)
    {
        FilesystemImage opened = ErofsReader.Open(image);
        return new FilesystemImageContents(opened.Digest, opened.Contents);
    }

    public KnownImage ReadNames(ReadOnlyMemory<byte> image)
    {
        FilesystemImage opened = ErofsReader.Open(image);
        return new KnownImage(opened.Digest, opened.Contents, new ContentNames(opened.Names));
    }

    public FileTree ReadTree(ReadOnlyMemory<byte> image) => ErofsReader.Open(image).ReadTree();
}
