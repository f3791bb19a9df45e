using Microsoft.Win32.SafeHandles;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Content;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.WorkerImages;

/// <content>What bundles can build upon: complete images, which a request names, and their filesystem images and contents, which patches need.</content>
public sealed partial class ImageLibrary : IBundleBases
{
    /// <summary>More bases would make the request longer without making the answer shorter: the likeliest relatives come first. Arbitrary.</summary>
    private const int MaxBases = 16;

    public IReadOnlyList<BaseImage> FindBases(ProxyProfile proxy, IReadOnlyList<ImageReference> wanted)
    {
        HashSet<string> repositories = [.. wanted.Select(r => r.Name)];
        List<(BaseImage Image, bool Related)> found = [];
        HashSet<Digest> trees = [];
        foreach (ImageRecord record in _records.Images().Where(r => r.ProxyProfile == proxy.Name))
        {
            if (IsComplete(record.ChainId) && trees.Add(record.ChainId) && ImageReference.Parse(record.Reference) is { IsSuccess: true } reference)
            {
                found.Add((new BaseImage(reference.Value, record.ManifestDigest), repositories.Contains(reference.Value.Name)));
            }
        }

        // stable: within each group the most recently pulled stays first
        return [.. found.OrderByDescending(f => f.Related).Take(MaxBases).Select(f => f.Image)];
    }

    public Result<BaseImage> FindBase(ImageReference reference)
    {
        foreach (ImageRecord record in _records.Images().Where(r => IsComplete(r.ChainId)))
        {
            if (ImageReference.Parse(record.Reference) is { IsSuccess: true, Value: var known } && IsMeant(known, record.ManifestDigest))
            {
                return new BaseImage(known, record.ManifestDigest);
            }
        }

        return new Error("Image.BaseUnknown", $"{reference} cannot be the base: it is not on this worker, or not complete yet. Leave the base out to let Starlight choose", ErrorKind.NotFound);

        // containerd's own pulls name the manifest beside the tag; who names a base need not. A digest alone says which image it is, under whatever name.
        bool IsMeant(ImageReference known, Digest manifest) => reference.Digest is { } digest
            ? manifest == digest || known.Digest == digest
            : known.Name == reference.Name && known.Tag == reference.Tag;
    }

    /// <summary>The file is read and checked each time: it is needed once for a pull, and a damaged one must not become the base of a patch.</summary>
    public BundleBase? FindImage(Digest filesystem)
    {
        WorkerTree? tree;
        lock (_lock)
        {
            tree = _trees.Values.FirstOrDefault(t => t.Complete && t.Record.FilesystemDigest == filesystem);
        }

        if (tree is null)
        {
            return null;
        }

        try
        {
            byte[] image = File.ReadAllBytes(tree.FilesystemImagePath);
            return Digest.Of(image) == filesystem ? new BundleBase(image, ContentsOf(tree)) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FailureException)
        {
            // Removed meanwhile, or damaged: the bundle is asked for again without patches.
            LibraryLog.BaseUnusable(_logger, tree.FilesystemImagePath, e.Message);
            return null;
        }
    }

    public SafeFileHandle? OpenContent(Digest content)
    {
        try
        {
            return File.OpenHandle(_objects.PathOf(content), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    private bool IsComplete(Digest chainId)
    {
        lock (_lock)
        {
            return _trees.TryGetValue(chainId, out WorkerTree? tree) && tree.Complete;
        }
    }
}
