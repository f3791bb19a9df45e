using System.Collections;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Images.Layers;

/// <summary>
/// The entries of a layer in the bytes of <see cref="LayerIndexCodec"/>: some 50 for a file where objects take 270. They are made when they are asked for, one after the other
/// at no cost that matters; from any position by going on from the beginning of its chunk. Entries are added by one thread before others read.
/// </summary>
internal sealed class EntryLog : IReadOnlyList<LayerEntry>
{
    /// <summary>What is read over at most to find an entry by position; a few hundred entries. Arbitrary.</summary>
    private const int ChunkLength = 16 * 1024;

    private readonly List<Chunk> _chunks = [];
    private readonly LayerIndexCodec.Writer _writer = new();
    private byte[] _tail = [];
    private int _tailLength;
    private State _last = State.First;

    /// <summary>Guards <see cref="_position"/>: where the entry that was asked for last ends, because the next is asked for next.</summary>
    private readonly Lock _gate = new();

    private Position? _position;

    public int Count { get; private set; }

    /// <summary>Bytes of all entries. Not "Length", which the language would take for the number of entries.</summary>
    public int ByteCount { get; private set; }

    /// <summary>The entries' bytes, in order.</summary>
    public IEnumerable<ReadOnlyMemory<byte>> Chunks => _chunks.Select(c => c.Bytes);

    public LayerEntry this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
            lock (_gate)
            {
                Position at = _position is { } known && known.Index <= index + 1 && (known.Index == index + 1 || known.Chunk == ChunkOf(index)) ? known : Start(ChunkOf(index));
                if (at.Index == index + 1)
                {
                    return at.Current!;
                }

                while (at.Index <= index)
                {
                    at = Next(at);
                }

                _position = at;
                return at.Current!;
            }
        }
    }

    public static EntryLog Of(IEnumerable<LayerEntry> entries)
    {
        EntryLog log = new();
        foreach (LayerEntry entry in entries)
        {
            log.Add(entry);
        }

        return log;
    }

    /// <summary>A log of bytes that are there already and hold nothing else; all of them are checked. They must not change.</summary>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">DataCorrupt <c>LayerIndex.Malformed</c>.</exception>
    public static EntryLog Read(ReadOnlyMemory<byte> bytes, int count)
    {
        EntryLog log = new() { Count = count, ByteCount = bytes.Length };
        LayerIndexCodec.Reader reader = new(bytes.Span);
        long pathBytes = 0;
        int start = 0;
        int relaxedAt = 0;
        Chunk chunk = new(default, 0, State.First);
        for (int i = 0; i < count; i++)
        {
            int at = bytes.Length - reader.Remaining;
            if (at - start >= ChunkLength)
            {
                log._chunks.Add(chunk with { Bytes = bytes[start..at] });
                (start, chunk) = (at, new Chunk(default, i, log._last));
            }

            if (at - relaxedAt >= SpooledMemory.Stride)
            {
                SpooledMemory.Relax(bytes);
                relaxedAt = at;
            }

            LayerEntry entry = LayerIndexCodec.Decode(ref reader, log._last.Path, log._last.Owner);
            log._last = State.After(entry);
            pathBytes += entry.Path.Length;
            if (pathBytes > LayerBudget.MaxPathBytes)
            {
                throw LayerFailures.IndexMalformed("its paths are longer than any layer's");
            }
        }

        log._chunks.Add(chunk with { Bytes = bytes[start..] });
        return reader.Remaining == 0 ? log : throw LayerFailures.IndexMalformed("something follows its last entry");
    }

    /// <summary>Not for a log that was read.</summary>
    public void Add(LayerEntry entry)
    {
        _writer.Clear();
        LayerIndexCodec.Encode(_writer, entry, _last.Path, _last.Owner);
        ReadOnlySpan<byte> bytes = _writer.Written;
        if (_tailLength + bytes.Length > _tail.Length)
        {
            _tail = new byte[Math.Max(ChunkLength, bytes.Length)];
            _tailLength = 0;
            _chunks.Add(new Chunk(default, Count, _last));
        }

        bytes.CopyTo(_tail.AsSpan(_tailLength));
        _tailLength += bytes.Length;
        ByteCount = checked(ByteCount + bytes.Length);
        _chunks[^1] = _chunks[^1] with { Bytes = _tail.AsMemory(0, _tailLength) };
        _last = State.After(entry);
        Count++;
    }

    public IEnumerator<LayerEntry> GetEnumerator()
    {
        for (int chunk = 0; chunk < _chunks.Count; chunk++)
        {
            int end = chunk + 1 < _chunks.Count ? _chunks[chunk + 1].First : Count;
            for (Position at = Start(chunk); at.Index < end;)
            {
                at = Next(at);
                yield return at.Current!;
            }

            if (chunk % (SpooledMemory.Stride / ChunkLength) == 0)
            {
                SpooledMemory.Relax(_chunks[chunk].Bytes);
            }
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private Position Start(int chunk) => new(chunk, 0, _chunks[chunk].First, _chunks[chunk].Before, Current: null);

    private Position Next(Position at)
    {
        ReadOnlySpan<byte> bytes = _chunks[at.Chunk].Bytes.Span;
        LayerIndexCodec.Reader reader = new(bytes[at.Offset..]);
        LayerEntry entry = LayerIndexCodec.Decode(ref reader, at.Before.Path, at.Before.Owner);
        return new Position(at.Chunk, bytes.Length - reader.Remaining, at.Index + 1, State.After(entry), entry);
    }

    private int ChunkOf(int index)
    {
        int low = 0;
        int high = _chunks.Count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            (low, high) = _chunks[middle].First <= index ? (middle, high) : (low, middle - 1);
        }

        return low;
    }

    /// <summary>What an entry leaves out because the one before it says so.</summary>
    private readonly record struct State(PosixPath Path, (uint Uid, uint Gid) Owner)
    {
        public static State First => default;

        public static State After(LayerEntry entry) => new(entry.Path, (entry.Uid, entry.Gid));
    }

    /// <param name="Bytes">Whole entries.</param>
    /// <param name="First">Position of the first of them.</param>
    /// <param name="Before">Of the entry before that.</param>
    private readonly record struct Chunk(ReadOnlyMemory<byte> Bytes, int First, State Before);

    /// <param name="Index">Of the next entry.</param>
    /// <param name="Before">What the next entry builds upon.</param>
    /// <param name="Current">The entry before that; null at the beginning of a chunk.</param>
    private readonly record struct Position(int Chunk, int Offset, int Index, State Before, LayerEntry? Current);
}
