using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>A process in a container, found by its command line and its mount namespace.</summary>
internal sealed partial class WaitingProcess
{
    public const int SigTerm = 15;
    public const int SigKill = 9;

    private WaitingProcess(int pid) => Pid = pid;

    public int Pid { get; }

    /// <summary>Gone, or a zombie that nobody has waited for yet.</summary>
    public bool HasEnded => Stat(Pid) is null or "Z" or "X";

    /// <summary>Waits until a process of this command line runs in the container of another process and is inside open(2) or execve(2).</summary>
    public static async Task<WaitingProcess> InOpenAsync(int containerPid, params string[] command)
    {
        WaitingProcess? found = null;
        await Probe.UntilAsync(() => (found = Find(containerPid, command)) is not null && found.IsInOpen, $"{string.Join(' ', command)} waits in open(2)");
        return found!;
    }

    public void Signal(int signal)
    {
        if (kill(Pid, signal) != 0)
        {
            throw new InvalidOperationException($"kill {Pid}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    /// <summary>/proc/PID/syscall (proc(5)): number and arguments of the call that a sleeping process is in. openat is 257 on x86-64, 56 on arm64.</summary>
    private bool IsInOpen
    {
        get
        {
            string number = RuntimeInformation.OSArchitecture == Architecture.Arm64 ? "56 " : "257 ";
            return Read($"/proc/{Pid}/syscall") is { } call && call.StartsWith(number, StringComparison.Ordinal) && Stat(Pid) is "S" or "D";
        }
    }

    private static WaitingProcess? Find(int containerPid, string[] command)
    {
        string? mounts = Namespace(containerPid);
        string wanted = string.Concat(command.Select(argument => argument + "\0"));
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
                && Read($"/proc/{pid}/cmdline") == wanted
                && Namespace(pid) == mounts)
            {
                return new WaitingProcess(pid);
            }
        }

        return null;
    }

    private static string? Namespace(int pid)
    {
        try
        {
            return new FileInfo($"/proc/{pid}/ns/mnt").LinkTarget;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Field 3 of /proc/PID/stat, the state.</summary>
    private static string? Stat(int pid) => Read($"/proc/{pid}/stat") is { Length: > 0 } stat ? stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[0] : null;

    private static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path, Encoding.Latin1);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int signal);
}
