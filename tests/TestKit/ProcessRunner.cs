using System.Diagnostics;

namespace Starlight.TestKit;

/// <summary>What a finished child process left.</summary>
/// <param name="Command">Program and arguments, for messages.</param>
/// <param name="ExitCode">128 plus the signal's number if one ended it.</param>
public sealed record ProcessOutcome(string Command, int ExitCode, string Output, string ErrorOutput)
{
    /// <summary>The output, if the exit code is 0; throws with everything the child said otherwise.</summary>
    public string Succeeded() => ExitCode == 0
        ? Output
        : throw new InvalidOperationException($"{Command}: exit code {ExitCode}\n{Output}\n{ErrorOutput}");
}

/// <summary>
/// A child process with its output collected and nothing to read. Tests touch their own FUSE mounts only through one: a thread of ours that waits in the kernel could not
/// be timed out. Disposing kills it if it still runs.
/// </summary>
public sealed class ChildProcess : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task<string> _errorOutput;

    private ChildProcess(Process process)
    {
        _process = process;
        _output = process.StandardOutput.ReadToEndAsync();
        _errorOutput = process.StandardError.ReadToEndAsync();
    }

    public int Pid => _process.Id;

    private string Command => $"{_process.StartInfo.FileName} {string.Join(' ', _process.StartInfo.ArgumentList)}";

    public bool HasExited => _process.HasExited;

    public static ChildProcess Start(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? directory = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = directory ?? "",
        };
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        Process process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        process.StandardInput.Close();
        return new ChildProcess(process);
    }

    /// <summary>Waits for the end. Kills the child and throws <see cref="TimeoutException"/> if it takes longer.</summary>
    public async Task<ProcessOutcome> WaitAsync(TimeSpan timeout)
    {
        try
        {
            await _process.WaitForExitAsync().WaitAsync(timeout);
            return new ProcessOutcome(Command, _process.ExitCode, await _output.WaitAsync(timeout), await _errorOutput.WaitAsync(timeout));
        }
        catch (TimeoutException e)
        {
            string state = State();
            Kill();
            throw new TimeoutException($"{Command} ran longer than {timeout}\n{state}", e);
        }
    }

    /// <summary>SIGKILL to the child alone.</summary>
    public void Kill()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }
    }

    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }

    private string State() => File.Exists($"/proc/{Pid}/status") ? File.ReadAllText($"/proc/{Pid}/status") : "";
}

/// <summary>Runs child processes to their end.</summary>
public static class ProcessRunner
{
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(30);

    public static async Task<ProcessOutcome> RunAsync(string program, IEnumerable<string> arguments, TimeSpan? timeout = null)
    {
        using ChildProcess child = ChildProcess.Start(program, arguments);
        return await child.WaitAsync(timeout ?? DefaultTimeout);
    }
}
