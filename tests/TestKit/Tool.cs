namespace Starlight.TestKit;

/// <summary>Runs a program of the system to its end and fails the test with its output if it fails. Never through a shell unless asked to.</summary>
public static class Tool
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(5);

    public static string Bash(string script, string? directory = null) => Run("bash", ["-euo", "pipefail", "-c", script], directory);

    /// <returns>Standard output.</returns>
    public static string Run(string program, string[] arguments, string? directory = null)
    {
        using ChildProcess child = ChildProcess.Start(program, arguments, directory: directory ?? Path.GetTempPath());
        return child.WaitAsync(Deadline).GetAwaiter().GetResult().Succeeded();
    }
}
