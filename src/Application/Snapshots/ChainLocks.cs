namespace Starlight.Application.Snapshots;

/// <summary>One lock per chain ID, so that asking for, committing, removing and releasing the same layer do not overtake each other. An entry lives while somebody holds or awaits it.</summary>
internal sealed class ChainLocks
{
    /// <summary>Guards itself and the counts of its entries.</summary>
    private readonly Dictionary<string, Entry> _entries = [];

    /// <summary>Waits until nobody else holds this chain's lock. Dispose the result to let go.</summary>
    public async Task<IDisposable> EnterAsync(string chainId, CancellationToken cancellationToken)
    {
        Entry entry;
        lock (_entries)
        {
            if (!_entries.TryGetValue(chainId, out entry!))
            {
                _entries.Add(chainId, entry = new Entry(this, chainId));
            }

            entry.Users++;
        }

        try
        {
            await entry.Semaphore.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            Leave(entry);
            throw;
        }

        return entry;
    }

    private void Leave(Entry entry)
    {
        lock (_entries)
        {
            if (--entry.Users == 0)
            {
                _entries.Remove(entry.ChainId);
            }
        }
    }

    private sealed class Entry(ChainLocks owner, string chainId) : IDisposable
    {
        public SemaphoreSlim Semaphore { get; } = new(1);

        public string ChainId => chainId;

        public int Users { get; set; }

        public void Dispose()
        {
            Semaphore.Release();
            owner.Leave(this);
        }
    }
}
