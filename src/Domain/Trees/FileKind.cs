namespace Starlight.Domain.Trees;

/// <summary>What an entry of a layer or an inode of a tree is. The numbers are stored (docs/formats/layer-index.md); never renumber.</summary>
public enum FileKind : byte
{
    Regular = 1,
    Directory = 2,
    Symlink = 3,
    CharacterDevice = 4,
    BlockDevice = 5,
    Fifo = 6,

    /// <summary>Layer entries only: another name for the inode at <see cref="LayerEntry.LinkTarget"/>.</summary>
    HardLink = 7,
}
