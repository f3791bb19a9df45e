using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts.Native;

namespace Starlight.Infrastructure.Mounts;

/// <summary>
/// Tells which files are opened in one overlay of ours, also through the overlays that stand on it: the kernel opens the lower file for the upper one and says so. Nobody waits for that: an open costs some
/// microseconds more, the second of a file nothing. Whether this kernel does it is tried at start (<see cref="MountCapabilities.SeesOpens"/>).
/// </summary>
internal sealed class OpenWatch : IDisposable
{
    /// <summary>
    /// Between two looks: whoever opens something while nobody is waiting for it wakes nobody, which would cost him more than all the rest. It makes the times of opens so much less precise, their order
    /// not.
    /// </summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(5);

    private readonly Fanotify _events;
    private readonly Thread _thread;
    private int _disposed;

    private OpenWatch(Fanotify events, Func<ulong, bool> opened, Action<Exception> failed)
    {
        _events = events;
        _thread = new Thread(() => Run(events, opened, failed)) { IsBackground = true, Name = "open watch" };
    }

    /// <summary>Nothing is told any more: no more was wanted, or it failed.</summary>
    public bool HasEnded => !_thread.IsAlive;

    /// <summary>From when this returns, every open is told of.</summary>
    /// <param name="mountPoint">The overlay.</param>
    /// <param name="opened">Called in turn, on a thread of the watch, with the inode number of a file that is opened: seldom more than once for each. False ends the watch.</param>
    /// <param name="failed">Called on that thread, once, if it cannot go on: opens may be missing.</param>
    /// <exception cref="FailureException">As <see cref="Fanotify.Start"/>; ResourceExhausted <c>Mount.NoThread</c>.</exception>
    public static OpenWatch Start(string mountPoint, Func<ulong, bool> opened, Action<Exception> failed)
    {
        Fanotify events = Fanotify.Start(mountPoint);
        OpenWatch watch = new(events, opened, failed);
        try
        {
            watch._thread.Start();
            return watch;
        }
        catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
        {
            events.Dispose();
            throw new FailureException(new Error("Mount.NoThread", $"the opens in {mountPoint} cannot be watched: no thread can be started ({e.Message})", ErrorKind.ResourceExhausted), e);
        }
    }

    /// <summary>Ends it. What was opened before has been told when this returns. Not to be called from within the call-back, nor under a lock that it takes.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _events.Stop();
        _thread.Join();
        _events.Dispose();
    }

    private static void Run(Fanotify events, Func<ulong, bool> opened, Action<Exception> failed)
    {
        try
        {
            while (events.Read(opened))
            {
                Thread.Sleep(s_pause);
            }
        }
        catch (Exception e) // whatever it is: a container's trace must not end the daemon
        {
            failed(e);
        }
        finally
        {
            events.Close();
        }
    }
}
