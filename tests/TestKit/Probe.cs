using System.Diagnostics;

namespace Starlight.TestKit;

/// <summary>Waits for something to become true instead of sleeping for as long as it might take.</summary>
public static class Probe
{
    public static readonly TimeSpan DefaultDeadline = TimeSpan.FromSeconds(20);

    /// <summary>Polls until the condition holds; throws <see cref="TimeoutException"/> naming <paramref name="what"/> after the deadline.</summary>
    public static Task UntilAsync(Func<bool> condition, string what, TimeSpan? deadline = null) => UntilAsync(() => Task.FromResult(condition()), what, deadline);

    /// <inheritdoc cref="UntilAsync(Func{bool}, string, TimeSpan?)"/>
    public static async Task UntilAsync(Func<Task<bool>> condition, string what, TimeSpan? deadline = null)
    {
        long started = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (Stopwatch.GetElapsedTime(started) > (deadline ?? DefaultDeadline))
            {
                throw new TimeoutException($"not within {deadline ?? DefaultDeadline}: {what}");
            }

            await Task.Delay(5);
        }
    }
}
