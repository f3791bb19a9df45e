using System.Buffers;
using FluentValidation;
using MediatR;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Maintenance;

/// <summary>
/// Removes what nobody can ask for any more: images without a name from the catalog, and this proxy's contents and bundles of images that the catalog does not have. Each proxy
/// cleans its own disk.
/// </summary>
/// <param name="Grace">What was used, notified or renamed so lately stays: pulls are running, and workers that have the image get updates from it.</param>
public sealed record CollectGarbageCommand(TimeSpan Grace) : IRequest<Result<CollectedGarbage>>;

public sealed record CollectedGarbage(CatalogRemoval Catalog, long Contents, long ContentBytes, int Bundles, long BundleBytes);

internal sealed class CollectGarbageValidator : AbstractValidator<CollectGarbageCommand>
{
    public CollectGarbageValidator() =>
        RuleFor(c => c.Grace).GreaterThanOrEqualTo(TimeSpan.Zero).WithErrorCode("Maintenance.GraceNegative").WithMessage("the grace period must not be negative");
}

/// <summary>One collection at a time in a process; the catalog keeps those of several proxies apart.</summary>
internal sealed class GarbageCollector(ICatalogKeeping catalog, IImageCatalog images, IBundleFormat format, IFilesystemImages filesystems, IContentStore contents, IBundleKeeping bundles, TimeProvider time)
{
    private int _running;

    /// <summary>1. images, layers and indexes; 2. contents of no image; 3. bundles of images that are gone. Memory: one image at a time.</summary>
    public async Task<Result<CollectedGarbage>> CollectAsync(TimeSpan grace, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _running, 1) != 0)
        {
            return MaintenanceErrors.Collecting();
        }

        try
        {
            // 1.
            DateTimeOffset unusedSince = time.GetUtcNow() - grace;
            CatalogRemoval removed = await catalog.CollectAsync(unusedSince, cancellationToken);

            // 2. The sweep begins before the images are listed: what arrives for one that is recorded meanwhile stays.
            IContentSweep sweep = contents.BeginSweep();
            HashSet<Digest> known = [.. await catalog.ListDigestsAsync(cancellationToken)];
            foreach (Digest manifest in known)
            {
                if (await images.FindImageAsync(manifest, cancellationToken) is { } image)
                {
                    using IMemoryOwner<byte> filesystem = format.ReadFilesystem(image);
                    foreach (ContentRef content in filesystems.ReadContents(filesystem.Memory).Contents)
                    {
                        sweep.Keep(content.Digest);
                    }
                }
            }

            (long count, long bytes) = sweep.Remove(unusedSince);

            // 3.
            (int bundleCount, long bundleBytes) = bundles.Collect(known.Contains);
            return new CollectedGarbage(removed, count, bytes, bundleCount, bundleBytes);
        }
        finally
        {
            Volatile.Write(ref _running, 0);
        }
    }
}

internal sealed class CollectGarbageHandler(GarbageCollector collector) : IRequestHandler<CollectGarbageCommand, Result<CollectedGarbage>>
{
    public Task<Result<CollectedGarbage>> Handle(CollectGarbageCommand request, CancellationToken cancellationToken) => collector.CollectAsync(request.Grace, cancellationToken);
}
