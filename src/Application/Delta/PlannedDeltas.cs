using System.Globalization;
using System.Text;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Refill;
using Starlight.Domain.Bundles;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.References;

namespace Starlight.Application.Delta;

/// <summary>What is to be planned. What is on the shelf is immutable and planning depends on nothing else, but for contents that are lost.</summary>
/// <param name="To">What the wanted images are asked for as.</param>
/// <param name="Wanted">The images.</param>
/// <param name="Indexes">The index that each was found by; null for none.</param>
/// <param name="Have">Images that the worker has.</param>
/// <param name="Patches">Whether changed contents may be told as what differs.</param>
internal sealed record DeltaTask(IReadOnlyList<ImageReference> To, IReadOnlyList<ShelvedImage> Wanted, IReadOnlyList<IndexedIndex?> Indexes, IReadOnlyList<ShelvedImage> Have, bool Patches);

/// <summary>Plans bundles, and remembers the plans asked for lately: a fleet that is told to update asks for one and the same a thousand times within a second.</summary>
internal sealed class PlannedDeltas(ImageShelf shelf, ContentSupply supply, IBundleFormat format)
{
    /// <summary>A plan for an image of 10,000 contents takes 2 MB with its units: about fifteen of them. Arbitrary.</summary>
    private const long MaxBytes = 32L << 20;

    private readonly BoundedCache<string, DeltaBundle> _planned = new(MaxBytes, SizeOf);

    public Task<DeltaBundle> GetAsync(DeltaTask task, CancellationToken cancellationToken) =>
        supply.HasLosses ? PlanAsync(task, cancellationToken) : _planned.GetAsync(KeyOf(task), () => PlanAsync(task, CancellationToken.None), cancellationToken);

    private async Task<DeltaBundle> PlanAsync(DeltaTask task, CancellationToken cancellationToken)
    {
        (IReadOnlyList<ShelvedImage> wanted, IReadOnlyList<ShelvedImage> have) = (task.Wanted, task.Have);
        KnownImage[] bases = task.Patches ? [.. have.Select(i => i.Known)] : [];

        // Begun first: it takes longer than all the rest, if it was not made lately.
        Task<ReadOnlyMemory<byte>[]> imageUnits = Task.WhenAll(wanted.Select(i => UnitAsync(i, have, bases, cancellationToken)));
        DeltaPlan plan = DeltaPlanner.Plan(Together(wanted), [.. have.Select(i => i.Ordered.Contents)]);

        // What is planned must not depend on what this proxy happens to hold, or another one could not go on with the bundle.
        plan = bases.Length == 0 ? plan : PatchPlanner.AddPatches(plan, [.. wanted.Select(i => i.Known.Names)], bases, content => !supply.IsLost(content));
        ImageUnits[] units = [.. (await imageUnits).Select((unit, i) => format.NameUnit(unit, task.To[i].ToString(), task.Indexes[i]))];
        IEnumerable<ShelvedImage> patched = have.Where(i => plan.Bases.Any(b => b.Filesystem == i.FilesystemDigest));
        DeltaImage[] images = [.. wanted.Select((image, i) => new DeltaImage(task.To[i], image.Manifest, image.FilesystemDigest))];
        return new DeltaBundle(format.Identity(units, plan), images, [.. patched.Select(i => i.Manifest)], units, plan);
    }

    private Task<ReadOnlyMemory<byte>> UnitAsync(ShelvedImage image, IReadOnlyList<ShelvedImage> have, KnownImage[] bases, CancellationToken cancellationToken)
    {
        KnownImage? near = bases.Length == 0 ? null : PatchPlanner.Nearest(image.Known.Contents, image.Known.Names, bases);
        return near is null ? Task.FromResult(image.Unit) : shelf.UnitAsync(image, have[Array.IndexOf(bases, near)], cancellationToken);
    }

    /// <summary>
    /// Images that were traced in one group are started as they were then; of others all that is known is that somebody wants them together, and their containers count as started at once. If
    /// they have several groups in common the first by name decides, so that all proxies plan alike.
    /// </summary>
    private static IReadOnlyList<OrderedImage> Together(IReadOnlyList<ShelvedImage> wanted)
    {
        string? group = wanted.Count < 2 ? null : wanted[0].Groups.Keys.Where(g => wanted.All(i => i.Groups.ContainsKey(g))).Order(StringComparer.Ordinal).FirstOrDefault();
        return
        [
            .. wanted.Select(i => group is null || i.Ordered.Moments is null
                ? i.Ordered
                : i.Ordered with { Moments = [.. i.Ordered.Moments.Select(m => m + (i.Groups[group].Ticks / TimeSpan.TicksPerMicrosecond))] }),
        ];
    }

    private static string KeyOf(DeltaTask task)
    {
        StringBuilder key = new(task.Patches ? "patch" : "whole");
        for (int i = 0; i < task.To.Count; i++)
        {
            key.Append(CultureInfo.InvariantCulture, $" {task.To[i]} {task.Wanted[i].Number} {task.Indexes[i]?.Digest.Hex}");
        }

        foreach (ShelvedImage image in task.Have)
        {
            key.Append(CultureInfo.InvariantCulture, $" < {image.Number}");
        }

        return key.ToString();
    }

    /// <summary>A planned content has two positions, a patch a digest, a length and two more. The images' content lists are counted too: the plan outlives them on the shelf.</summary>
    private static long SizeOf(DeltaBundle delta) =>
        512 + delta.Units.Sum(u => u.Length) + (delta.Plan.Contents.Count * 5L) + (delta.Plan.CanonicalCounts.Sum(c => (long)c) * (Digest.Size + 8L)) + (delta.Plan.Patches.Count * (Digest.Size + 24L)) + (delta.Plan.BlockLengths.Count * 4L);
}
