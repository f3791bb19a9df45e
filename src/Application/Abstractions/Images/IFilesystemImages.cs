using System.Buffers;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;

namespace Starlight.Application.Abstractions.Images;

/// <summary>What a filesystem image says about the files of a container, without its tree.</summary>
/// <param name="Contents">
/// Every distinct non-empty content in canonical order: depth first, names in byte order, each at its first occurrence.
/// The index in this list is how other formats name a content in short.
/// </param>
public sealed record FilesystemImageContents(IReadOnlyList<ContentRef> Contents);

/// <summary>A filesystem image that was built just now. A large one lies in a file: its bytes must not be used once this is disposed.</summary>
public sealed class BuiltFilesystem(IMemoryOwner<byte> owner, Digest digest) : IDisposable
{
    public ReadOnlyMemory<byte> Bytes => owner.Memory;

    /// <summary>sha256 of <see cref="Bytes"/>.</summary>
    public Digest Digest => digest;

    public void Dispose() => owner.Dispose();
}

/// <summary>
/// Turns merged trees into filesystem images and back (docs/formats/filesystem-image.md). The results depend on the arguments alone; safe for
/// concurrent use. Images of other origin fail with <c>FilesystemImage.Malformed</c> (DataCorrupt), trees beyond the format's limits with
/// <c>FilesystemImage.TreeUnsupported</c> (ResourceExhausted), both as <see cref="Starlight.Domain.SharedKernel.FailureException"/>.
/// </summary>
public interface IFilesystemImages
{
    /// <summary>The image of a tree. The same tree gives the same bytes on every machine.</summary>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">ResourceExhausted <c>Spool.NoSpace</c>: a large image goes to a temporary file, for which there is no room.</exception>
    BuiltFilesystem Build(FileTree tree);

    /// <summary>Content list of an image. The bytes are treated as hostile.</summary>
    FilesystemImageContents ReadContents(ReadOnlyMemory<byte> image);

    /// <summary>What <see cref="ReadContents"/> gives, with the names that later versions of the contents are recognised by. The bytes are treated as hostile.</summary>
    /// <param name="image">The image.</param>
    /// <param name="digest">Its sha256, as whoever has read it has found it to be.</param>
    KnownImage ReadNames(ReadOnlyMemory<byte> image, Digest digest);

    /// <summary>The whole tree of an image. The bytes are treated as hostile.</summary>
    FileTree ReadTree(ReadOnlyMemory<byte> image);
}
