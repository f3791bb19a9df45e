namespace Starlight.Domain.Bundles;

/// <summary>
/// Cuts contents laid end to end into blocks. Small contents share a block, because compression gains from what they have in common; a content above
/// <see cref="DeltaPlan.MaxBlockLength"/> gets blocks of its own, of equal length but for the last. Nothing of a block can be used before all of it is there, so
/// the first blocks are short and the container's first open is answered early.
/// </summary>
internal sealed class BlockPartition
{
    /// <summary>So many blocks before the target doubles, up to <see cref="DeltaPlan.MaxBlockLength"/>: after 24 blocks and 7 MiB they are full size. Arbitrary.</summary>
    private const int BlocksPerTarget = 8;

    private readonly List<int> _lengths = [];
    private long _open;

    public List<int> Lengths => _lengths;

    public long RawLength { get; private set; }

    private int Target => (int)Math.Min(DeltaPlan.MaxBlockLength, (long)DeltaPlan.FirstBlockLength << Math.Min(30, _lengths.Count / BlocksPerTarget));

    public void Add(long size)
    {
        RawLength += size;
        if (size > DeltaPlan.MaxBlockLength)
        {
            Close();
            AddPieces(size);
            return;
        }

        if (_open > 0 && _open + size > Target)
        {
            Close();
        }

        _open += size;
        if (_open >= Target)
        {
            Close();
        }
    }

    /// <summary>The next content begins a new block.</summary>
    public void Close()
    {
        if (_open > 0)
        {
            _lengths.Add((int)_open);
            _open = 0;
        }
    }

    private void AddPieces(long size)
    {
        long count = (size + DeltaPlan.MaxBlockLength - 1) / DeltaPlan.MaxBlockLength;
        int piece = (int)((size + count - 1) / count);
        for (long left = size; left > 0; left -= piece)
        {
            _lengths.Add((int)Math.Min(piece, left));
        }
    }
}
