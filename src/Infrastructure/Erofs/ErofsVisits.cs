using Starlight.Domain.Trees;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// Which inodes a walk has been to. A directory is entered once, so no image has a cycle; the parts of the image that its inodes
/// claim may not add up to more than the image, so none makes a walk long by overlapping them.
/// </summary>
internal sealed class ErofsVisits(ErofsImage image)
{
    /// <summary>Inodes read before the memory they lie in is let go of: some 13 MB.</summary>
    private const int RelaxEvery = 1 << 16;

    private readonly ulong[] _seen = new ulong[(image.Bytes.Length >> (ErofsFormat.SlotBits + 6)) + 1];
    private long _unclaimed = image.Bytes.Length;
    private ulong _count;

    public static void CheckDepth(int depth)
    {
        if (depth >= ErofsFormat.MaxDepth)
        {
            throw ErofsFormat.Malformed($"directories are nested more than {ErofsFormat.MaxDepth} deep");
        }
    }

    public ErofsInode ReadRoot() => TryEnter(image.RootNid, ErofsFormat.DirentType(FileKind.Directory), out ErofsInode root)
        ? root
        : throw new InvalidOperationException("the root is entered first");

    /// <summary>Reads the inode of a directory entry. False if it is a further name of an inode seen before.</summary>
    public bool TryEnter(ulong nid, byte type, out ErofsInode inode)
    {
        inode = image.ReadInode(nid);
        if (type != ErofsFormat.DirentType(inode.Kind))
        {
            throw ErofsFormat.Malformed($"the entry of inode {nid} has the wrong type");
        }

        ref ulong seen = ref _seen[nid >> 6];
        ulong bit = 1UL << (int)(nid & 63);
        if ((seen & bit) != 0)
        {
            return inode.Kind != FileKind.Directory ? false : throw ErofsFormat.Malformed($"directory {nid} has two names");
        }

        seen |= bit;
        if (++_count % RelaxEvery == 0)
        {
            SpooledMemory.Relax(image.Bytes);
        }

        Claim(inode.Extent);
        return true;
    }

    /// <summary>Counts bytes of the image that nothing else may use.</summary>
    public void Claim(long size)
    {
        _unclaimed -= size;
        if (_unclaimed < 0)
        {
            throw ErofsFormat.Malformed("parts of it overlap");
        }
    }

    /// <summary>To be called after the walk.</summary>
    public void CheckComplete()
    {
        if (_count != image.InodeCount)
        {
            throw ErofsFormat.Malformed($"{_count} of {image.InodeCount} inodes have names");
        }
    }
}
