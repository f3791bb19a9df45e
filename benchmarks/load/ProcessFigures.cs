using System.Globalization;

namespace Starlight.Benchmarks.Load;

/// <summary>What the kernel says of a process (proc_pid_status(5), proc_pid_stat(5)).</summary>
internal sealed class ProcessFigures(int pid)
{
    /// <summary>Clock ticks a second in /proc; 100 on every Linux (USER_HZ).</summary>
    private const double TicksPerSecond = 100;

    /// <summary>Resident memory at its highest since the process began or <see cref="ForgetPeak"/>, in MB.</summary>
    public double PeakMegabytes => Status("VmHWM:");

    /// <summary>Resident memory now, in MB; pages of mapped files included.</summary>
    public double ResidentMegabytes => Status("VmRSS:");

    public double CpuSeconds
    {
        get
        {
            // The second field is a name in parentheses that may hold anything.
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
        }
    }

    /// <summary>Lets the peak begin anew at what is resident now (proc_pid_clear_refs(5), value 5).</summary>
    public void ForgetPeak() => File.WriteAllText($"/proc/{pid}/clear_refs", "5");

    private double Status(string name) => long.Parse(File.ReadLines($"/proc/{pid}/status").First(l => l.StartsWith(name, StringComparison.Ordinal))[name.Length..^2], CultureInfo.InvariantCulture) / 1024.0;
}
