using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.WorkerImages;

/// <content>What bundles can build upon: filesystem images and contents of complete trees.</content>
public sealed partial class ImageLibrary : IBundleBases
{
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
}
