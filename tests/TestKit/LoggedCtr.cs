using System.Text;

namespace Starlight.TestKit;

/// <summary>
/// A <c>ctr</c> that runs something in a container whose output the container's shim writes to a file. What ctr itself passes on may lack the end, because it closes the pipes
/// when the process has ended.
/// </summary>
/// <param name="ctr">Started with the file as its <c>--log-uri</c>.</param>
/// <param name="log">The file.</param>
public sealed class LoggedCtr(ChildProcess ctr, string log) : IDisposable
{
    public bool HasExited => ctr.HasExited;

    /// <summary>Waits for the end; the outcome's output is what the container's process wrote to its outputs, as Latin-1: file names are bytes.</summary>
    public async Task<ProcessOutcome> WaitAsync(TimeSpan timeout)
    {
        ProcessOutcome outcome = await ctr.WaitAsync(timeout);
        return outcome with { Output = File.Exists(log) ? await File.ReadAllTextAsync(log, Encoding.Latin1) : "" };
    }

    public void Dispose()
    {
        ctr.Dispose();
        File.Delete(log);
    }
}
