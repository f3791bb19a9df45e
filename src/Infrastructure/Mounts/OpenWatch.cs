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

    private OpenWatch(Fanotify events, Func<ulong, bool> opened)
    {
        _events = events;
        _thread = new Thread(() => Run(events, opened)) { IsBackground = true, Name = "open watch" };
    }

    /// <summary>Nothing is told any more: no more was wanted, or it failed.</summary>
    public bool HasEnded => !_thread.IsAlive;

    /// <summary>From when this returns, every open is told of.</summary>
    /// <param name="mountPoint">The overlay.</param>
    /// <param name="opened">Called in turn, on a thread of the watch, with the inode number of a file that is opened: seldom more than once for each. False ends the watch.</param>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">As <see cref="Fanotify.Start"/>.</exception>
    public static OpenWatch Start(string mountPoint, Func<ulong, bool> opened)
    {
        OpenWatch watch = new(Fanotify.Start(mountPoint), opened);
        watch._thread.Start();
        return watch;
    }

    /// <summary>Ends it. What was opened before has been told when this returns. Not to be called from within the call-back, nor under a lock that it takes.</summary>
    public void Dispose()
    {
        _events.Stop();
        _thread.Join();
        _events.Dispose();
    }

    private static void Run(Fanotify events, Func<ulong, bool> opened)
    {
        try
        {
            while (events.Read(opened))
            {
                Thread.Sleep(s_pause);
            }
        }
        catch (IOException)
        {
            // What was told stays; a trace that is short teaches less.
        }
        finally
        {
            events.Close();
        }
    }
}
