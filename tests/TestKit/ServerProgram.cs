using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Starlight.TestKit;

/// <summary>A program that runs until it is told to stop, with everything it writes kept. Disposing kills it; it is addressed by its process id only.</summary>
public sealed partial class ServerProgram : IAsyncDisposable
{
    private const int SigTerm = 15;

    private static readonly TimeSpan s_stopDeadline = TimeSpan.FromSeconds(20);

    private readonly Process _process;
    private readonly StringBuilder _log = new();

    private ServerProgram(Process process) => _process = process;

    public int Pid => _process.Id;

    public bool HasExited => _process.HasExited;

    public string Log
    {
        get
        {
            lock (_log)
            {
                return _log.ToString();
            }
        }
    }

    /// <summary>Starts the program and waits until a line of its output is the one that says it is ready.</summary>
    /// <param name="command">Program and arguments.</param>
    /// <param name="ready">True for the line.</param>
    /// <param name="deadline">How long it may take.</param>
    /// <param name="environment">Added to this process's.</param>
    public static async Task<ServerProgram> StartAsync(IReadOnlyList<string> command, Func<string, bool> ready, TimeSpan deadline, IReadOnlyDictionary<string, string>? environment = null)
    {
        ProcessStartInfo start = new(command[0], command.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, UseShellExecute = false };
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        TaskCompletionSource seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Process process = new() { StartInfo = start, EnableRaisingEvents = true };
        ServerProgram program = new(process);
        void Record(object sender, DataReceivedEventArgs line)
        {
            if (line.Data is not null)
            {
                lock (program._log)
                {
                    program._log.AppendLine(line.Data);
                }

                if (ready(line.Data))
                {
                    seen.TrySetResult();
                }
            }
        }

        process.OutputDataReceived += Record;
        process.ErrorDataReceived += Record;
        process.Exited += (_, _) => seen.TrySetException(new InvalidOperationException("it ended"));
        process.Start();
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        try
        {
            await seen.Task.WaitAsync(deadline);
            return program;
        }
        catch (Exception e) when (e is TimeoutException or InvalidOperationException)
        {
            await program.KillAsync();
            throw new InvalidOperationException($"{string.Join(' ', command)} did not become ready: {e.Message}\n{program.Log}", e);
        }
    }

    /// <summary>SIGTERM, then waits; SIGKILL if that takes too long.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync()
    {
        if (!_process.HasExited)
        {
            _ = kill(_process.Id, SigTerm);
            using CancellationTokenSource patience = new(s_stopDeadline);
            try
            {
                await _process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                await KillAsync();
            }
        }

        return _process.ExitCode;
    }

    /// <summary>SIGTERM, without waiting.</summary>
    public void Terminate() => _ = kill(_process.Id, SigTerm);

    /// <summary>Waits until it has ended by itself.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> WaitForExitAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(s_stopDeadline);
        return _process.ExitCode;
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process.Dispose();
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int signal);
}
