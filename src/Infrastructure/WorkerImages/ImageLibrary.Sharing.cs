using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.WorkerImages;

/// <content>Several pulls of the same images: one reception for all, and nothing freed that one of them is about to stand on.</content>
public sealed partial class ImageLibrary
{
    /// <summary>Chains that pulls are about to make snapshots of → how many pulls. Nothing of them is freed. Guarded by the lock.</summary>
    private readonly Dictionary<Digest, int> _pins = [];

    /// <summary>
    /// An image whose layers are here with another tree. Chain IDs do not cover the tree, and a manifest without the annotation does not vouch for it: what one proxy once said about an image must
    /// not stand for an image that was checked.
    /// </summary>
    private IncomingImage? FindOtherTree(IReadOnlyList<IncomingImage> images)
    {
        lock (_lock)
        {
            return images.FirstOrDefault(i =>
                (_trees.TryGetValue(i.TopChainId, out WorkerTree? tree) && tree.Record.FilesystemDigest != i.FilesystemDigest)
                || images.Any(o => o.TopChainId == i.TopChainId && o.FilesystemDigest != i.FilesystemDigest));
        }
    }

    /// <summary>A share in the one reception that already brings everything these images still need, or null.</summary>
    private ReceptionShare? RunningReceptionOf(IReadOnlyList<IncomingImage> images)
    {
        lock (_lock)
        {
            ImageReception? common = null;
            foreach (IncomingImage image in images)
            {
                if (!_trees.TryGetValue(image.TopChainId, out WorkerTree? tree) || tree.Complete || tree.Reception is null or { IsAbandoned: true } || (common is not null && tree.Reception != common))
                {
                    return null;
                }

                common = tree.Reception;
                tree.Touched = _time.GetTimestamp();
            }

            return common is null ? null : Share(common, images);
        }
    }

    /// <summary>Under the lock.</summary>
    private ReceptionShare Share(ImageReception reception, IReadOnlyList<IncomingImage> images)
    {
        Digest[] chains = [.. images.SelectMany(i => i.ChainIds).Distinct()];
        foreach (Digest chain in chains)
        {
            _pins[chain] = _pins.GetValueOrDefault(chain) + 1;
        }

        return new ReceptionShare(reception, _lock, () => Unpin(chains));
    }

    private void Unpin(Digest[] chains)
    {
        lock (_lock)
        {
            foreach (Digest chain in chains)
            {
                if (--_pins[chain] == 0)
                {
                    _pins.Remove(chain);
                }
            }
        }
    }

    private async Task TakeBackAsync(Added added, ImageReception reception)
    {
        // Another pull may have begun anew on the same since: what is not as this one left it is the other's.
        List<WorkerTree> trees;
        List<Digest> chains = [];
        lock (_lock)
        {
            trees = [.. added.Trees.Where(t => t.BroughtBy == reception)];
            HashSet<Digest> others = [.. added.Trees.Except(trees).SelectMany(t => t.Record.ChainIds)];
            chains.AddRange(added.Chains.Where(c => _chains.GetValueOrDefault(c.ChainId) == c && !others.Contains(c.ChainId) && !_pins.ContainsKey(c.ChainId)).Select(c => c.ChainId));
        }

        await RemoveTreesAsync(trees, chains);
    }
}
