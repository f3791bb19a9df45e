using System.Buffers;
using MediatR;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Delta;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;

namespace Starlight.Application.Report;

/// <summary>In which order the contents of an image are sent, and why.</summary>
/// <param name="Reference">By tag or digest.</param>
/// <param name="Platform">Which of its images; null for all.</param>
public sealed record GetOrderQuery(ImageReference Reference, Platform? Platform) : IRequest<Result<IReadOnlyList<ImageOrder>>>
{
    /// <summary>As in <see cref="GetDeltaQuery.Readable"/>.</summary>
    public RepositoryPatterns Readable { get; init; } = RepositoryPatterns.All;

    /// <summary>If the tag is not known, another version of its repository that has a learned order.</summary>
    public bool AnyVersion { get; init; }
}

/// <summary>The order of one image.</summary>
/// <param name="Traces">How many traces it comes from; 0 if it is a guess.</param>
/// <param name="InheritedFrom">The version that the traces are of; null if they are of this image.</param>
/// <param name="HotCount">The first so many are expected to be opened during start-up.</param>
/// <param name="Groups">Groups that it was traced in.</param>
public sealed record ImageOrder(
    Platform Platform, Digest Manifest, int Traces, Digest? InheritedFrom, int HotCount, long HotBytes, IReadOnlyList<string> Groups, IReadOnlyList<OrderedContent> Contents);

/// <summary>One content of an order.</summary>
/// <param name="Paths">Every name it has in the image.</param>
/// <param name="Rank">Average position in the traces of this image; null if none opened it.</param>
/// <param name="At">Average time of its opening since the container's start; null if none opened it.</param>
/// <param name="Traces">How many traces of this image opened it.</param>
public sealed record OrderedContent(ContentRef Content, IReadOnlyList<PosixPath> Paths, double? Rank, TimeSpan? At, int Traces);

internal sealed class GetOrderHandler(IImageQueries queries, IImageCatalog catalog, ITraces traces, IBundleFormat format, IFilesystemImages filesystems) : IRequestHandler<GetOrderQuery, Result<IReadOnlyList<ImageOrder>>>
{
    /// <summary>Of a repository's versions those looked at that were wanted last. Arbitrary; one that nobody wanted has no traces either.</summary>
    private const int MaxVersions = 32;

    public async Task<Result<IReadOnlyList<ImageOrder>>> Handle(GetOrderQuery request, CancellationToken cancellationToken)
    {
        IReadOnlyDictionary<Platform, NamedImage> platforms = request.Reference.Digest is { } digest
            ? await queries.FindByDigestAsync(digest, cancellationToken)
            : await queries.FindByTagAsync(request.Reference, cancellationToken);
        if (platforms.Count == 0 && request.AnyVersion)
        {
            platforms = await FindTracedVersionsAsync(request.Reference, cancellationToken);
        }

        IEnumerable<Digest> manifests = request.Platform is { } platform
            ? new[] { platform.Match(platforms) }.OfType<NamedImage>().Select(i => i.Manifest)
            : platforms.OrderBy(p => p.Key.ToString(), StringComparer.Ordinal).Select(p => p.Value.Manifest).Distinct();
        List<ImageOrder> orders = [];
        foreach (Digest manifest in manifests)
        {
            if (await IsReadableAsync(manifest, request.Readable, cancellationToken) && await catalog.FindImageAsync(manifest, cancellationToken) is { } image)
            {
                orders.Add(Describe(image, TraceMerge.Merge((await traces.FindAsync(manifest, cancellationToken)).Traces)));
            }
        }

        if (orders.Count > 0)
        {
            return orders;
        }

        List<Platform> others = [];
        foreach ((Platform other, NamedImage image) in platforms.OrderBy(p => p.Key.ToString(), StringComparer.Ordinal))
        {
            if (await IsReadableAsync(image.Manifest, request.Readable, cancellationToken))
            {
                others.Add(other);
            }
        }

        return DeltaErrors.NotIndexed(request.Reference, request.Platform ?? Platform.Local, others);
    }

    /// <summary>For each platform the version wanted last among those with a learned order.</summary>
    private async Task<IReadOnlyDictionary<Platform, NamedImage>> FindTracedVersionsAsync(ImageReference reference, CancellationToken cancellationToken)
    {
        Dictionary<Platform, NamedImage> versions = [];
        foreach ((Digest manifest, Platform platform) in await queries.FindLastUsedAsync(reference.Registry, reference.Repository, MaxVersions, cancellationToken))
        {
            if (!versions.ContainsKey(platform) && (await queries.FindByDigestAsync(manifest, cancellationToken)).Values.FirstOrDefault() is { Order: not null } traced)
            {
                versions.Add(platform, traced);
            }
        }

        return versions;
    }

    private async Task<bool> IsReadableAsync(Digest manifest, RepositoryPatterns readable, CancellationToken cancellationToken) =>
        readable.IsAll || (await queries.FindRepositoriesAsync(manifest, cancellationToken)).Any(readable.Includes);

    private ImageOrder Describe(IndexedImage image, LearnedOrder own)
    {
        using IMemoryOwner<byte> filesystem = format.ReadFilesystem(image);
        IReadOnlyList<ContentRef> contents = filesystems.ReadContents(filesystem.Memory).Contents;
        ILookup<Digest, PosixPath> paths = filesystems.ReadTree(filesystem.Memory).Walk()
            .Where(e => e.Inode is { Kind: FileKind.Regular, Size: > 0 }).ToLookup(e => e.Inode.Content, e => e.Path);
        Dictionary<Digest, LearnedContent> learned = own.Contents.ToDictionary(c => c.Content);
        IReadOnlyList<int> order = image.Learned?.Order ?? image.Order;
        int hot = image.Learned?.HotCount ?? image.HotCount;
        return new ImageOrder(
            image.Platform,
            image.Digest,
            image.Learned?.Traces ?? 0,
            image.Learned?.InheritedFrom,
            hot,
            order.Take(hot).Sum(index => contents[index].Size),
            [.. (image.Learned?.Groups.Keys ?? []).Order(StringComparer.Ordinal)],
            [
                .. order.Select(index => learned.TryGetValue(contents[index].Digest, out LearnedContent seen)
                    ? new OrderedContent(contents[index], [.. paths[contents[index].Digest]], seen.Rank, seen.At, seen.Traces)
                    : new OrderedContent(contents[index], [.. paths[contents[index].Digest]], null, null, 0)),
            ]);
    }
}
