using System.Buffers.Binary;
using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Erofs;

/// <summary>
/// Goes through the entries of a directory. Names are checked to be possible and strictly ascending, <c>.</c> and <c>..</c> to be there
/// and right; they are not handed out.
/// </summary>
internal struct ErofsNameCursor
{
    private readonly ErofsImage _image;
    private readonly ErofsInode _directory;
    private readonly uint _parent;
    private int _block = -1;
    private int _index;
    private int _count;
    private int _dots;

    /// <summary>The name before this one, to compare: block, offset, length.</summary>
    private (int Block, int Offset, int Length) _previous;

    public ErofsNameCursor(ErofsImage image, in ErofsInode directory, uint parent)
    {
        _image = image;
        _directory = directory;
        _parent = parent;
    }

    public readonly ErofsInode Directory => _directory;

    /// <summary>False at the end. <paramref name="type"/> is not yet compared with the inode's.</summary>
    public bool TryNext(out ReadOnlySpan<byte> name, out ulong nid, out byte type)
    {
        while (true)
        {
            if (_index == _count && !TryNextBlock())
            {
                name = default;
                nid = 0;
                type = 0;
                return _dots == 2 ? false : throw ErofsFormat.Malformed($"directory {_directory.Nid} has no '.' or '..'");
            }

            ReadOnlySpan<byte> block = _image.Block(_directory, _block);
            ReadOnlySpan<byte> dirent = block.Slice(_index * ErofsFormat.DirentSize, ErofsFormat.DirentSize);
            nid = BinaryPrimitives.ReadUInt64LittleEndian(dirent);
            type = dirent[10];
            name = Name(block, dirent);
            _index++;
            if (name.Length > 2 || name[0] != '.' || (name.Length == 2 && name[1] != '.'))
            {
                return true;
            }

            if (nid != (name.Length == 1 ? _directory.Nid : _parent) || type != ErofsFormat.DirentType(FileKind.Directory))
            {
                throw ErofsFormat.Malformed($"'.' or '..' of directory {_directory.Nid} leads elsewhere");
            }

            _dots++;
        }
    }

    private bool TryNextBlock()
    {
        if ((long)(_block + 1) << ErofsFormat.BlockBits >= _directory.Size)
        {
            return false;
        }

        _block++;
        ReadOnlySpan<byte> block = _image.Block(_directory, _block);
        int names = block.Length < ErofsFormat.DirentSize ? 0 : BinaryPrimitives.ReadUInt16LittleEndian(block[8..]);
        if (names == 0 || names % ErofsFormat.DirentSize != 0 || names >= block.Length)
        {
            throw ErofsFormat.Malformed($"block {_block} of directory {_directory.Nid} has no entries");
        }

        _index = 0;
        _count = names / ErofsFormat.DirentSize;
        return true;
    }

    private ReadOnlySpan<byte> Name(ReadOnlySpan<byte> block, ReadOnlySpan<byte> dirent)
    {
        int start = BinaryPrimitives.ReadUInt16LittleEndian(dirent[8..]);
        int end = block.Length;
        if (_index + 1 < _count)
        {
            end = BinaryPrimitives.ReadUInt16LittleEndian(block[(((_index + 1) * ErofsFormat.DirentSize) + 8)..]);
        }

        if (start < _count * ErofsFormat.DirentSize || start >= end || end > block.Length)
        {
            throw ErofsFormat.Malformed($"a name of directory {_directory.Nid} is not in its block");
        }

        ReadOnlySpan<byte> name = block[start..end];
        if (_index + 1 == _count && name.IndexOf((byte)0) is var zero and >= 0)
        {
            name = name[..zero];
        }

        if (name.Length is 0 or > ErofsFormat.MaxNameLength || name.ContainsAny((byte)0, (byte)'/'))
        {
            throw ErofsFormat.Malformed($"directory {_directory.Nid} has a name that cannot be");
        }

        if (_previous.Length > 0 && _image.Block(_directory, _previous.Block).Slice(_previous.Offset, _previous.Length).SequenceCompareTo(name) >= 0)
        {
            throw ErofsFormat.Malformed($"the names of directory {_directory.Nid} are not in order");
        }

        _previous = (_block, start, name.Length);
        return name;
    }
}
