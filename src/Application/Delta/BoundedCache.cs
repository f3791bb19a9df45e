namespace Starlight.Application.Delta;

/// <summary>
/// Keeps values that take long to make, up to a number of bytes; the least recently used go first. Callers that miss the same key at the same time share
/// one load. A failed load is kept for nobody.
/// </summary>
internal sealed class BoundedCache<TKey, TValue>(long maxBytes, Func<TValue, long> sizeOf)
    where TKey : notnull
{
    /// <summary>Guards everything below.</summary>
    private readonly Lock _gate = new();

    private readonly Dictionary<TKey, LinkedListNode<Slot>> _slots = [];

    /// <summary>Most recently used last.</summary>
    private readonly LinkedList<Slot> _recent = [];

    private long _bytes;

    public long Bytes
    {
        get
        {
            lock (_gate)
            {
                return _bytes;
            }
        }
    }

    /// <param name="load">Not cancelled when this caller goes: others may wait for the same value, and it is useful to the next.</param>
    public async Task<TValue> GetAsync(TKey key, Func<Task<TValue>> load, CancellationToken cancellationToken)
    {
        LinkedListNode<Slot>? node;
        lock (_gate)
        {
            if (_slots.TryGetValue(key, out node))
            {
                _recent.Remove(node);
                _recent.AddLast(node);
            }
            else
            {
                node = _recent.AddLast(new Slot(key));
                _slots.Add(key, node);
                LinkedListNode<Slot> started = node;
                node.Value.Value = Task.Run(() => LoadAsync(started, load), CancellationToken.None);
            }
        }

        return await node.Value.Value.WaitAsync(cancellationToken);
    }

    private async Task<TValue> LoadAsync(LinkedListNode<Slot> node, Func<Task<TValue>> load)
    {
        try
        {
            TValue value = await load();
            lock (_gate)
            {
                node.Value.Bytes = sizeOf(value);
                _bytes += node.Value.Bytes;
                Trim(keep: node);
            }

            return value;
        }
        catch
        {
            lock (_gate)
            {
                Remove(node);
            }

            throw;
        }
    }

    /// <summary>The caller holds the lock. Loads under way count nothing and stay.</summary>
    private void Trim(LinkedListNode<Slot> keep)
    {
        LinkedListNode<Slot>? candidate = _recent.First;
        while (_bytes > maxBytes && candidate is not null)
        {
            LinkedListNode<Slot>? next = candidate.Next;
            if (candidate != keep && candidate.Value.Bytes > 0)
            {
                Remove(candidate);
            }

            candidate = next;
        }
    }

    private void Remove(LinkedListNode<Slot> node)
    {
        _recent.Remove(node);
        _slots.Remove(node.Value.Key);
        _bytes -= node.Value.Bytes;
    }

    private sealed class Slot(TKey key)
    {
        public TKey Key { get; } = key;

        public Task<TValue> Value { get; set; } = null!;

        /// <summary>0 until loaded.</summary>
        public long Bytes { get; set; }
    }
}
