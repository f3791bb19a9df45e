using System.Threading.Channels;

namespace Starlight.Presentation.Worker.Daemon;

/// <summary>Runs a use case that reports progress synchronously and sends the reports down a stream, in order, from one task.</summary>
internal static class StreamedProgress
{
    /// <summary>A caller that reads slowly sees fewer steps, not an ever longer queue.</summary>
    private const int Pending = 64;

    public static async Task<TResult> RunAsync<TProgress, TResult>(Func<IProgress<TProgress>, Task<TResult>> run, Func<TProgress, ValueTask> send)
    {
        Channel<TProgress> channel = Channel.CreateBounded<TProgress>(new BoundedChannelOptions(Pending) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        Task<TResult> running = run(new Reporter<TProgress>(channel.Writer));
        _ = running.ContinueWith(_ => channel.Writer.Complete(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        bool gone = false;
        await foreach (TProgress progress in channel.Reader.ReadAllAsync())
        {
            try
            {
                if (!gone)
                {
                    await send(progress);
                }
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
            {
                // The caller went away. Its cancellation token ends the use case; the outcome is taken below either way.
                gone = true;
            }
        }

        return await running;
    }

    private sealed class Reporter<T>(ChannelWriter<T> writer) : IProgress<T>
    {
        public void Report(T value) => writer.TryWrite(value);
    }
}
