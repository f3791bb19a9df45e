namespace Starlight.Infrastructure.Pacing;

/// <summary>
/// Keeps work that nobody waits for out of the way of bundles being served. Threads cannot be given priorities here (the runtime ignores them on Linux, and the work hops
/// over the shared pool), so background work is slowed where all of it passes: at the blobs it reads, at the contents that a bundle is made of. While a bundle is being served it works a quarter of the time;
/// it never stops, because on a busy proxy it would never go on.
/// </summary>
public sealed class BackgroundPace
{
    /// <summary>Flows with the execution context into whatever the work starts.</summary>
    private static readonly AsyncLocal<bool> Background = new();

    private int _foreground;

    /// <summary>True in the work between <see cref="EnterBackground"/> and its disposal.</summary>
    public static bool IsBackground => Background.Value;

    /// <summary>Somebody is being served.</summary>
    public bool IsBusy => Volatile.Read(ref _foreground) > 0;

    /// <summary>From now until disposal, in this flow of execution, work counts as background.</summary>
    public static IDisposable EnterBackground()
    {
        Background.Value = true;
        return new Leaving(() => Background.Value = false);
    }

    /// <summary>From now until disposal somebody is being served.</summary>
    public IDisposable EnterForeground()
    {
        Interlocked.Increment(ref _foreground);
        return new Leaving(() => Interlocked.Decrement(ref _foreground));
    }

    private sealed class Leaving(Action leave) : IDisposable
    {
        private Action? _leave = leave;

        public void Dispose() => Interlocked.Exchange(ref _leave, null)?.Invoke();
    }
}
