using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Contents;

/// <summary>What is known of a stored content.</summary>
/// <param name="Blocks">Room on disk, in blocks of the file system.</param>
/// <param name="Used">Seconds since 1970.</param>
/// <param name="Mark">The sweep that kept it last.</param>
internal readonly record struct StoredContent(uint Blocks, uint Used, byte Mark);

/// <summary>
/// A dictionary of contents for a million of them: 41 bytes and a quarter of that for room, where the framework's takes 90. Digests are in arrays with open addressing and linear probing; who is
/// removed leaves no mark, those behind it move up. For one thread at a time.
/// </summary>
/// <remarks>
/// Digests are spread over <see cref="ShardCount"/> small tables: growing copies little, and no array gets into the large object heap, which is not compacted, below some millions of contents in 256 tables.
/// </remarks>
internal sealed class ContentTable
{
    private const int ShardCount = 16;

    private readonly Shard[] _shards = new Shard[ShardCount];

    public int Count { get; private set; }

    public bool Contains(Digest content) => TryFind(content, out _);

    public bool TryFind(Digest content, out StoredContent found)
    {
        ref Shard shard = ref ShardOf(content);
        int slot = shard.Find(content);
        found = slot < 0 ? default : shard[slot];
        return slot >= 0;
    }

    /// <summary>False if it is there already. The digest of nothing is not a content's.</summary>
    public bool TryAdd(Digest content, StoredContent value)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(content.IsDefault, true, nameof(content));
        ref Shard shard = ref ShardOf(content);
        if (shard.Find(content) >= 0)
        {
            return false;
        }

        shard.Add(content, value);
        Count++;
        return true;
    }

    /// <summary>Changes what is known of a content that is there.</summary>
    public void Update(Digest content, StoredContent value)
    {
        ref Shard shard = ref ShardOf(content);
        int slot = shard.Find(content);
        ArgumentOutOfRangeException.ThrowIfNegative(slot, nameof(content));
        shard[slot] = value;
    }

    public bool TryRemove(Digest content, out StoredContent removed)
    {
        ref Shard shard = ref ShardOf(content);
        int slot = shard.Find(content);
        removed = slot < 0 ? default : shard[slot];
        if (slot < 0)
        {
            return false;
        }

        shard.RemoveAt(slot);
        Count--;
        return true;
    }

    /// <summary>
    /// Asks about every content and removes those for which the answer is yes. A content that stays may be asked about twice.
    /// </summary>
    /// <param name="remove">May throw: the content then stays.</param>
    public void RemoveWhere(Func<Digest, StoredContent, bool> remove)
    {
        for (int i = 0; i < ShardCount; i++)
        {
            ref Shard shard = ref _shards[i];
            for (int slot = 0; slot < shard.Capacity;)
            {
                if (shard.TryGet(slot, out Digest content) && remove(content, shard[slot]))
                {
                    // What has moved up is here now. At the table's end that may be something from its beginning, which was asked about before.
                    shard.RemoveAt(slot);
                    Count--;
                }
                else
                {
                    slot++;
                }
            }
        }
    }

    /// <summary>By the lowest bits of the hash; a place in the shard by the highest.</summary>
    private ref Shard ShardOf(Digest content) => ref _shards[content.GetHashCode() & (ShardCount - 1)];

    /// <summary>Arrays of one length; a digest that is not set is a free slot.</summary>
    private struct Shard
    {
        /// <summary>Above this part a table grows. With 9 of 10 slots taken a digest that is not there is looked for in some fifty, all beside each other.</summary>
        private const double Full = 0.9;

        private const double Growth = 1.25;

        private const int FirstCapacity = 8;

        private Digest[]? _digests;
        private uint[] _blocks;
        private uint[] _used;
        private byte[] _marks;
        private int _count;

        public readonly int Capacity => _digests?.Length ?? 0;

        public readonly StoredContent this[int slot]
        {
            get => new(_blocks[slot], _used[slot], _marks[slot]);
            set => (_blocks[slot], _used[slot], _marks[slot]) = (value.Blocks, value.Used, value.Mark);
        }

        public readonly bool TryGet(int slot, out Digest content)
        {
            content = _digests![slot];
            return !content.IsDefault;
        }

        /// <summary>-1 if it is not there.</summary>
        public readonly int Find(Digest content)
        {
            if (_digests is null || content.IsDefault)
            {
                return -1;
            }

            int slot = Home(content);
            while (!_digests[slot].IsDefault)
            {
                if (_digests[slot] == content)
                {
                    return slot;
                }

                slot = Next(slot);
            }

            return -1;
        }

        public void Add(Digest content, StoredContent value)
        {
            if (_count + 1 > (int)(Capacity * Full))
            {
                Grow();
            }

            Put(content, value);
            _count++;
        }

        /// <summary>Moves those up that are behind it and would not be found across the gap.</summary>
        public void RemoveAt(int slot)
        {
            int gap = slot;
            for (int i = Next(slot); !_digests![i].IsDefault; i = Next(i))
            {
                int home = Home(_digests[i]);
                bool isBetween = gap <= i ? gap < home && home <= i : gap < home || home <= i;
                if (!isBetween)
                {
                    _digests[gap] = _digests[i];
                    this[gap] = this[i];
                    gap = i;
                }
            }

            _digests[gap] = default;
            _count--;
        }

        private void Grow()
        {
            Shard larger = default;
            int capacity = Math.Max(FirstCapacity, (int)(Capacity * Growth) + 1);
            larger._digests = new Digest[capacity];
            larger._blocks = new uint[capacity];
            larger._used = new uint[capacity];
            larger._marks = new byte[capacity];
            larger._count = _count;
            for (int slot = 0; slot < Capacity; slot++)
            {
                if (TryGet(slot, out Digest content))
                {
                    larger.Put(content, this[slot]);
                }
            }

            this = larger;
        }

        private readonly void Put(Digest content, StoredContent value)
        {
            int slot = Home(content);
            while (!_digests![slot].IsDefault)
            {
                slot = Next(slot);
            }

            _digests[slot] = content;
            this[slot] = value;
        }

        private readonly int Home(Digest content) => (int)(((ulong)(uint)content.GetHashCode() * (uint)Capacity) >> 32);

        private readonly int Next(int slot) => slot + 1 == Capacity ? 0 : slot + 1;
    }
}
