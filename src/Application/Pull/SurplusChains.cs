using Starlight.Application.Snapshots;
using Starlight.Domain.Content;

namespace Starlight.Application.Pull;

/// <summary>
/// Frees what pulls have brought for layers that containerd has unpacked itself: no provided snapshot stands for them, so no removal of one would ever free it.
/// Done when no pull is between asking for its images and having its snapshots: another pull may just be about to make a snapshot of the same layer. Safe for concurrent use.
/// </summary>
internal sealed class SurplusChains(SnapshotService snapshots)
{
    /// <summary>Held while the fields change and while chains are freed, which new pulls wait for.</summary>
    private readonly SemaphoreSlim _changing = new(1, 1);
    private readonly HashSet<Digest> _made = [];
    private int _making;

    /// <summary>A pull begins. Dispose the result when its snapshots exist or will not be made.</summary>
    public async Task<Making> EnterAsync(CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        _making++;
        _changing.Release();
        return new Making(this);
    }

    private async Task LeaveAsync(IEnumerable<Digest> made)
    {
        await _changing.WaitAsync(CancellationToken.None);
        try
        {
            _made.UnionWith(made);
            if (--_making > 0)
            {
                return;
            }

            foreach (Digest chain in _made)
            {
                await snapshots.ReleaseUnusedAsync(chain.ToString());
            }

            _made.Clear();
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>One pull on its way to its snapshots.</summary>
    public sealed class Making(SurplusChains owner) : IAsyncDisposable
    {
        private readonly List<Digest> _made = [];
        private bool _left;

        /// <summary>containerd has a snapshot for each of these chains now, provided or its own.</summary>
        public void Made(IEnumerable<Digest> chainIds) => _made.AddRange(chainIds);

        /// <summary>Repeating it does nothing.</summary>
        public async ValueTask DisposeAsync()
        {
            if (!_left)
            {
                _left = true;
                await owner.LeaveAsync(_made);
            }
        }
    }
}
