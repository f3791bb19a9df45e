using System.Text;

namespace Starlight.TestKit;

/// <summary>
/// A <c>ctr</c> that runs something in a container whose outputs the container's shim passes to files. What ctr itself passes on may lack the end, because it closes the pipes
/// when the process has ended.
/// </summary>
public sealed class LoggedCtr : IDisposable
{
    private static readonly string s_script = Path.Combine(AppContext.BaseDirectory, "split-outputs.sh");

    private readonly string _log;
    private readonly ChildProcess _ctr;

    /// <param name="log">A path that is not in use; the files' names begin with it.</param>
    /// <param name="start">Starts ctr with these options among its own.</param>
    public LoggedCtr(string log, Func<string[], ChildProcess> start)
    {
        _log = log;

        // The query's only parameter becomes two arguments: the shell's script and that script's own.
        _ctr = start(["--log-uri", $"binary:///bin/sh?{Uri.EscapeDataString(s_script)}={Uri.EscapeDataString(log)}"]);
    }

    public bool HasExited => _ctr.HasExited;

    /// <summary>Waits for the end; the outcome's output is what the container's process wrote to its standard output, as Latin-1: file names are bytes.</summary>
    public async Task<ProcessOutcome> WaitAsync(TimeSpan timeout)
    {
        ProcessOutcome ctr = await _ctr.WaitAsync(timeout);
        return ctr with { Output = await ReadAsync(".out"), ErrorOutput = ctr.ErrorOutput + await ReadAsync(".err") };
    }

    public void Dispose()
    {
        _ctr.Dispose();
        File.Delete(_log + ".out");
        File.Delete(_log + ".err");
    }

    /// <summary>There are no files if ctr never came to starting the process.</summary>
    private async Task<string> ReadAsync(string which) => File.Exists(_log + which) ? await File.ReadAllTextAsync(_log + which, Encoding.Latin1) : "";
}
