using Microsoft.Extensions.DependencyInjection;
using Microsoft.Win32.SafeHandles;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Erofs;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>Reads a whole bundle as a worker would, and keeps what it brings.</summary>
internal sealed class BundleContents : IBundleContentSink, IBundleBases
{
    private static readonly IFilesystemImages Filesystems = new ServiceCollection().AddFilesystemImages().BuildServiceProvider().GetRequiredService<IFilesystemImages>();

    private MemoryStream? _current;
    private ContentRef _content;

    public IReadOnlyList<BundleImage> Images { get; private set; } = [];

    public Dictionary<Digest, byte[]> Contents { get; } = [];

    /// <param name="bundle">All of it.</param>
    /// <param name="had">What patches are applied to; null if there are none.</param>
    public static async Task<BundleContents> ReadAsync(byte[] bundle, BundleContents? had = null)
    {
        BundleContents read = new();
        using MemoryStream stream = new(bundle);
        BundleReader reader = await BundleReader.OpenAsync(stream, had, CancellationToken.None);
        reader.BindContents(image => Filesystems.ReadContents(image).Contents);
        await reader.ReadContentsAsync(read, CancellationToken.None);
        reader.IsComplete.ShouldBeTrue();
        read.Images = reader.Images;
        foreach ((Digest digest, byte[] content) in read.Contents)
        {
            Digest.Of(content).ShouldBe(digest);
        }

        return read;
    }

    public BundleBase? FindImage(Digest filesystem) =>
        Images.FirstOrDefault(i => i.FilesystemDigest == filesystem) is { } image ? new BundleBase(image.FilesystemImage, Filesystems.ReadContents(image.FilesystemImage).Contents) : null;

    public SafeFileHandle? OpenContent(Digest content)
    {
        SafeFileHandle file = File.OpenHandle(Path.GetTempFileName(), FileMode.Open, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose);
        RandomAccess.Write(file, Contents[content], 0);
        return file;
    }

    public ValueTask PutAsync(ContentRef content, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        Contents.Add(content.Digest, bytes.ToArray());
        return ValueTask.CompletedTask;
    }

    public ValueTask BeginAsync(ContentRef content, CancellationToken cancellationToken)
    {
        (_content, _current) = (content, new MemoryStream());
        return ValueTask.CompletedTask;
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        _current!.Write(bytes.Span);
        return ValueTask.CompletedTask;
    }

    public ValueTask CompleteAsync(CancellationToken cancellationToken)
    {
        Contents.Add(_content.Digest, _current!.ToArray());
        return ValueTask.CompletedTask;
    }
}
