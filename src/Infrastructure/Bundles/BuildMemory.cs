using Starlight.Domain.Bundles;
using Starlight.Infrastructure.Bundles.Patches;

namespace Starlight.Infrastructure.Bundles;

/// <summary>
/// What all bundles that are being built may take of memory together. A build takes what it may need at most before it reads its first content, and gives it back at its end; those who
/// have to wait get it in the order in which they asked. One that needs more than there is gets all there is, and so runs alone. Safe for concurrent use.
/// </summary>
public sealed class BuildMemory
{
    /// <summary>Four builds without patches, or one of large patches and another: enough for as many cores, and half of what a proxy of 400 MB has. Arbitrary.</summary>
    public const long DefaultBytes = 192L << 20;

    private const long Megabyte = 1L << 20;

    /// <summary>A build's blocks, scratch buffers and compression contexts (<see cref="BlockCompression"/>).</summary>
    private const long Blocks = 40 * Megabyte;

    /// <summary>A window with its index (<see cref="WindowedBase"/>).</summary>
    private const long Window = 16 * Megabyte;

    /// <summary>Windows of an old content that is too large for one: one for each block that is under way, and the next.</summary>
    private const int WindowsOfLarge = 7;

    /// <summary>Old contents that are taken whole: what two blocks are compared with, and the next.</summary>
    private const int WindowsOfSmall = 3;

    /// <summary>Guards the two fields below it.</summary>
    private readonly Lock _gate = new();

    private readonly Queue<(long Bytes, TaskCompletionSource Granted)> _waiting = new();
    private readonly long _all;
    private long _free;

    /// <param name="bytes">Of all builds together.</param>
    public BuildMemory(long bytes = DefaultBytes) => _all = _free = bytes;

    /// <summary>What a build takes at most, in bytes.</summary>
    public static long Of(DeltaPlan plan)
    {
        if (plan.Patches.Count == 0)
        {
            return Blocks;
        }

        return Blocks + (Window * (plan.Patches.Any(p => p.Base.Size > WindowedBase.WindowLength) ? WindowsOfLarge : WindowsOfSmall));
    }

    /// <summary>Waits until there are so many bytes. Disposing the result gives them back.</summary>
    public async Task<IDisposable> TakeAsync(long bytes, CancellationToken cancellationToken)
    {
        Share share = new(this, Math.Min(bytes, _all));
        TaskCompletionSource granted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _waiting.Enqueue((share.Bytes, granted));
            Grant();
        }

        await using CancellationTokenRegistration cancelled = cancellationToken.Register(() =>
        {
            if (granted.TrySetCanceled(cancellationToken))
            {
                lock (_gate)
                {
                    // Those behind it may need less.
                    Grant();
                }
            }
        });
        await granted.Task;
        return share;
    }

    /// <summary>The caller holds the lock.</summary>
    private void Grant()
    {
        while (_waiting.TryPeek(out (long Bytes, TaskCompletionSource Granted) next) && (next.Bytes <= _free || next.Granted.Task.IsCompleted))
        {
            _waiting.Dequeue();
            if (next.Granted.TrySetResult())
            {
                _free -= next.Bytes;
            }
        }
    }

    private sealed class Share(BuildMemory owner, long bytes) : IDisposable
    {
        private int _returned;

        public long Bytes => bytes;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _returned, 1) == 0)
            {
                lock (owner._gate)
                {
                    owner._free += bytes;
                    owner.Grant();
                }
            }
        }
    }
}
