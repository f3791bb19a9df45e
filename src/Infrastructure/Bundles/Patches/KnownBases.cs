using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Bundles.Patches;

/// <summary>The images that one bundle builds upon, looked up once each.</summary>
internal sealed class KnownBases(IBundleBases? bases)
{
    private readonly Dictionary<Digest, BundleBase?> _found = [];
    private readonly Dictionary<int, ContentRef> _baseOf = [];

    public ReadOnlyMemory<byte>? FindFilesystem(Digest filesystem) => Find(filesystem)?.FilesystemImage;

    /// <summary>What a content may be patched from; null if it has no base. Only after <see cref="Bind"/>.</summary>
    /// <param name="position">Of the content in stream order.</param>
    public ContentRef? BaseOf(int position) => _baseOf.TryGetValue(position, out ContentRef content) ? content : null;

    /// <summary>Opens an old content; null if it is not here. The caller disposes the handle.</summary>
    public SafeFileHandle? Open(Digest content) => bases?.OpenContent(content);

    /// <exception cref="Domain.SharedKernel.FailureException">FailedPrecondition <c>Bundle.BaseIncomplete</c>, DataCorrupt <c>Bundle.ContentsDisagree</c>.</exception>
    public void Bind(PlanUnit plan)
    {
        IReadOnlyList<ContentRef>[] contents = new IReadOnlyList<ContentRef>[plan.Bases.Length];
        for (int i = 0; i < contents.Length; i++)
        {
            PatchBase named = plan.Bases[i];
            contents[i] = (Find(named.Filesystem) ?? throw BundleErrors.BaseIncomplete(named.Filesystem)).Contents;
            if (contents[i].Count != named.CanonicalCount)
            {
                throw BundleErrors.ContentsDisagree($"base {i} has {contents[i].Count} contents, the plan says {named.CanonicalCount}");
            }
        }

        foreach (NamedPatch patch in plan.Patches)
        {
            _baseOf.Add(patch.Position, contents[patch.Image][patch.Index]);
        }

        // The filesystem images are of no more use.
        _found.Clear();
    }

    private BundleBase? Find(Digest filesystem)
    {
        if (!_found.TryGetValue(filesystem, out BundleBase? found))
        {
            _found.Add(filesystem, found = bases?.FindImage(filesystem));
        }

        return found;
    }
}
