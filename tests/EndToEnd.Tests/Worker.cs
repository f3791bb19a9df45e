using System.Diagnostics;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

internal static class Worker
{
    /// <summary>Waits until the worker holds exactly this; containerd's collector and the daemon's sweep run behind its back.</summary>
    public static async Task BecomesAsync(StarlightStack stack, WorkerContents expected)
    {
        long started = Stopwatch.GetTimestamp();
        WorkerContents now = await stack.ContentsAsync();
        while (now.ToString() != expected.ToString() && Stopwatch.GetElapsedTime(started) < Probe.DefaultDeadline)
        {
            await Task.Delay(50);
            now = await stack.ContentsAsync();
        }

        now.ToString().ShouldBe(expected.ToString());
    }
}
