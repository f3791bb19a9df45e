using System.Diagnostics;
using System.Text;

namespace Starlight.TestKit;

/// <summary>Runs a program of the system to its end and fails the test with its output if it fails. Never through a shell unless asked to.</summary>
public static class Tool
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(5);

    public static string Bash(string script, string? directory = null) => Run("bash", ["-euo", "pipefail", "-c", script], directory);

    /// <returns>Standard output.</returns>
    public static string Run(string program, string[] arguments, string? directory = null)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = directory ?? Path.GetTempPath(),
        };
        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        StringBuilder errors = new();
        process.ErrorDataReceived += (_, line) => errors.AppendLine(line.Data);
        process.BeginErrorReadLine();
        string output = process.StandardOutput.ReadToEnd();
        if (!process.WaitForExit(Deadline))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} did not end within {Deadline}");
        }

        process.WaitForExit();
        return process.ExitCode == 0
            ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {errors}{output}");
    }
}
