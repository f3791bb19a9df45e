using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Images.Sources;

/// <summary>
/// An OCI image layout (image-spec 1.1, image-layout.md), as a directory or in an archive:
/// <code>
/// oci-layout              {"imageLayoutVersion":"1.0.0"}
/// index.json              an index; an entry's annotation org.opencontainers.image.ref.name is its tag
/// blobs/sha256/HEX        manifests, configurations and layers
/// </code>
/// </summary>
internal sealed class OciLayoutSource(IImageFiles files, LocalLocation location) : IImageSource
{
    public const string IndexFile = "index.json";

    private const string RefNameAnnotation = "org.opencontainers.image.ref.name";

    /// <summary>containerd and docker write the whole reference here and only the tag there.</summary>
    private const string ContainerdNameAnnotation = "io.containerd.image.name";

    public string DisplayName => location.DisplayName;

    public async Task<ManifestBlob> ResolveAsync(CancellationToken cancellationToken)
    {
        FileWindow window = files.Find(IndexFile) ?? throw new FailureException(SourceErrors.NotAnImage(DisplayName));
        byte[] raw = await window.ReadAllAsync(ManifestDocument.MaxSize, DisplayName, IndexFile, cancellationToken);
        Result<ImageIndex> index = ImageIndex.Parse(raw, MediaTypes.OciIndex);
        if (!index.IsSuccess)
        {
            throw new FailureException(SourceErrors.Malformed(DisplayName, index.Error.Message));
        }

        return await GetManifestAsync(Select(index.Value), cancellationToken);
    }

    public async Task<ManifestBlob> GetManifestAsync(Descriptor descriptor, CancellationToken cancellationToken)
    {
        FileWindow window = Blob(descriptor);
        byte[] raw = await window.ReadAllAsync(ManifestDocument.MaxSize, DisplayName, $"manifest {descriptor.Digest}", cancellationToken);
        Digest actual = Digest.Of(raw);
        return actual == descriptor.Digest
            ? ManifestDocument.Read(raw, descriptor.MediaType, DisplayName)
            : throw new FailureException(SourceErrors.BlobMismatch(DisplayName, descriptor.Digest, $"its content has the digest {actual}"));
    }

    public Task<Stream> OpenBlobAsync(Descriptor descriptor, CancellationToken cancellationToken)
    {
        FileWindow window = Blob(descriptor);
        return Task.FromResult<Stream>(new VerifyingStream(
            window.Open(0, window.Length, DisplayName), descriptor, detail => SourceErrors.BlobMismatch(DisplayName, descriptor.Digest, detail)));
    }

    public Task<Stream> OpenBlobRangeAsync(Descriptor descriptor, long offset, long length, CancellationToken cancellationToken)
    {
        BlobRange.Check(descriptor, offset, length);
        return Task.FromResult(Blob(descriptor).Open(offset, length, DisplayName));
    }

    public ValueTask DisposeAsync() => files.DisposeAsync();

    private FileWindow Blob(Descriptor descriptor)
    {
        FileWindow window = files.Find("blobs/sha256/" + descriptor.Digest.Hex) ?? throw new FailureException(SourceErrors.BlobUnknown(DisplayName, descriptor.Digest));
        if (window.Length == descriptor.Size)
        {
            return window;
        }

        window.Close();
        throw new FailureException(SourceErrors.BlobMismatch(DisplayName, descriptor.Digest, $"it has {window.Length} bytes where its descriptor gives it {descriptor.Size}"));
    }

    private Descriptor Select(ImageIndex index)
    {
        List<Descriptor> images = [.. index.Manifests.Where(m => MediaTypes.IsManifest(m.MediaType) || MediaTypes.IsIndex(m.MediaType))];
        if (images.Count == 0)
        {
            throw new FailureException(SourceErrors.Empty(DisplayName));
        }

        IReadOnlyList<string> names = [.. images.SelectMany(NamesOf).Distinct(StringComparer.Ordinal)];
        List<Descriptor> chosen = location.Tag is not { } tag
            ? images
            : images.FindAll(i => i.Digest.ToString() == tag || NamesOf(i).Any(n => ImageNames.AreSame(n, tag)));
        return chosen.Select(i => i.Digest).Distinct().Count() switch
        {
            0 => throw new FailureException(SourceErrors.TagUnknown(DisplayName, location.Tag!, names)),
            1 => chosen[0],
            _ => throw new FailureException(SourceErrors.TagNeeded(DisplayName, names)),
        };
    }

    private static IEnumerable<string> NamesOf(Descriptor descriptor)
    {
        if (descriptor.Annotations.TryGetValue(RefNameAnnotation, out string? name))
        {
            yield return name;
        }

        if (descriptor.Annotations.TryGetValue(ContainerdNameAnnotation, out string? full))
        {
            yield return full;
        }
    }
}

/// <summary>How names in layouts and archives are compared with what a user types.</summary>
internal static class ImageNames
{
    /// <summary>The same text, or the same image once short names are completed (<c>redis:7</c> and <c>docker.io/library/redis:7</c>).</summary>
    public static bool AreSame(string left, string right) =>
        left == right
        || (ImageReference.Parse(left) is { IsSuccess: true, Value: { } a } && ImageReference.Parse(right) is { IsSuccess: true, Value: { } b } && a.ToString() == b.ToString());
}
