using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images.Tar;

/// <summary>The current entry's content, holes filled with zeros.</summary>
internal sealed partial class TarReader
{
    /// <summary>
    /// Zeros that sparse files of one layer may expand to. Without a bound, a kilobyte of layer could keep a machine hashing zeros for years.
    /// Arbitrary: the largest sparse files seen in images are lastlog files of some hundred megabytes.
    /// </summary>
    private const long MaxHoleBytes = 256L << 30;

    private static readonly byte[] Zeros = new byte[64 * 1024];

    private SparseExtent[] _extents = [];
    private int _extent;
    private long _position;
    private long _size;
    private long _storedLeft;
    private long _padding;
    private long _holeBytes;

    /// <summary>The next piece of the current entry's content; empty at its end. The memory is valid until the next call.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> ReadContentAsync(CancellationToken cancellationToken)
    {
        if (_position == _size)
        {
            return default;
        }

        while (_extent < _extents.Length && _position == _extents[_extent].End)
        {
            _extent++;
        }

        long holeEnd = _extent < _extents.Length ? _extents[_extent].Offset : _size;
        if (_position < holeEnd)
        {
            int zeros = (int)Math.Min(holeEnd - _position, Zeros.Length);
            _position += zeros;
            return Zeros.AsMemory(0, zeros);
        }

        if (_start == _end && !await FillAsync(cancellationToken))
        {
            throw LayerFailures.Malformed("the tar ends inside a file");
        }

        int step = (int)Math.Min(_extents[_extent].End - _position, _end - _start);
        ReadOnlyMemory<byte> piece = _buffer.AsMemory(_start, step);
        _start += step;
        _position += step;
        _storedLeft -= step;
        return piece;
    }

    private void BeginPlain(long size)
    {
        _extents = size == 0 ? [] : [new SparseExtent(0, size)];
        (_extent, _position, _size) = (0, 0, size);
    }

    private void BeginSparse(SparseExtent[] extents, long size)
    {
        _holeBytes += size - extents.Sum(e => e.Length);
        if (_holeBytes is < 0 or > MaxHoleBytes)
        {
            throw LayerFailures.TooLarge($"its sparse files expand to more than {MaxHoleBytes >> 30} GiB of zeros");
        }

        _extents = extents;
        (_extent, _position, _size) = (0, 0, size);
    }

    private async ValueTask SkipContentAsync(CancellationToken cancellationToken)
    {
        // subtract first: a failure below must not be repeated by the next call
        long rest = _storedLeft;
        long padding = _padding;
        (_storedLeft, _padding, _position, _size) = (0, 0, 0, 0);
        await SkipAsync(rest, cancellationToken);

        // the last entry's padding may be missing at the very end of the stream (Go's archive/tar tolerates it as well)
        while (padding > 0 && (_start < _end || await FillAsync(cancellationToken)))
        {
            int step = (int)Math.Min(padding, _end - _start);
            _start += step;
            padding -= step;
        }
    }

    /// <summary>
    /// pax sparse formats. 0.0 and 0.1 have the map in the header; 1.0 has it before the content, as decimal lines padded to whole blocks:
    /// <code>
    /// COUNT\n OFFSET\n LENGTH\n OFFSET\n LENGTH\n … NUL padding | extents
    /// </code>
    /// </summary>
    private async ValueTask<(List<long>? Map, long RealSize)> ReadPaxSparseAsync(PaxRecords pax, long storedSize, CancellationToken cancellationToken)
    {
        (long major, long minor) = (pax.SparseMajor ?? 0, pax.SparseMinor ?? 0);
        long realSize = NonNegative(pax.SparseRealSize ?? storedSize, "sparse size");
        return (major, minor) switch
        {
            (0, 0 or 1) => (pax.SparseMap, realSize),
            (1, 0) => (await ReadSparseMapAsync(cancellationToken), realSize),
            _ => throw LayerFailures.Malformed($"a sparse file has the unknown format {major}.{minor}"),
        };
    }

    private async ValueTask<List<long>> ReadSparseMapAsync(CancellationToken cancellationToken)
    {
        List<long> map = [];
        long number = -1;
        long wanted = long.MaxValue;
        int blocks = 0;
        while (map.Count < wanted)
        {
            if (_storedLeft < TarHeader.BlockSize || ++blocks > MaxHeadersSize / TarHeader.BlockSize || !await HaveBlockAsync(cancellationToken))
            {
                throw LayerFailures.Malformed("a sparse file's map is cut short or too long");
            }

            Parse(PeekBlock());
            _start += TarHeader.BlockSize;
            _storedLeft -= TarHeader.BlockSize;
        }

        return map;

        void Parse(ReadOnlySpan<byte> block)
        {
            foreach (byte b in block)
            {
                if (map.Count == wanted)
                {
                    return;
                }

                if (b == '\n' && number >= 0)
                {
                    if (wanted == long.MaxValue)
                    {
                        wanted = number <= MaxHeadersSize ? 2 * number : throw LayerFailures.TooLarge("a sparse file has too many extents");
                    }
                    else
                    {
                        map.Add(number);
                    }

                    number = -1;
                }
                else if (b is >= (byte)'0' and <= (byte)'9' && number < long.MaxValue / 10 - 1)
                {
                    number = Math.Max(number, 0) * 10 + (b - '0');
                }
                else
                {
                    throw LayerFailures.Malformed("a sparse file's map is not a list of numbers");
                }
            }
        }
    }
}
