using System.Diagnostics;
using System.Globalization;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Containerd;

/// <summary>The fixture itself: it has to run containers, and to leave nothing behind.</summary>
public sealed class ContainerdServerTests
{
    /// <summary>Of this run alone, since cgroups are the whole machine's.</summary>
    private static readonly string s_name = $"sleeper-{Guid.NewGuid():N}";

    [Fact]
    public async Task Dispose_WhenAContainerStillRuns_TakesAwayProcessesMountsAndFiles()
    {
        ContainerdServer server = await ContainerdServer.StartAsync();
        int container;
        string directory = server.Directory;
        try
        {
            string root = Path.Combine(directory, s_name);
            await CopyWithLibrariesAsync("/bin/sleep", root);
            (await server.Ctr("run", "--detach", "--null-io", "--rootfs", root, s_name, "/bin/sleep", "1000")).Succeeded();
            string tasks = (await server.Ctr("task", "ls")).Succeeded();
            container = int.Parse(tasks.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries).SkipWhile(word => word != s_name).ElementAt(1), CultureInfo.InvariantCulture);

            // A restart of containerd alone leaves the container running.
            await server.RestartAsync();
            (await server.Ctr("task", "ls")).Succeeded().ShouldContain($"{container}");
        }
        finally
        {
            await server.DisposeAsync();
        }

        Directory.Exists($"/proc/{container}").ShouldBeFalse();
        Directory.Exists(directory).ShouldBeFalse();
        MountEntry.ReadAll().ShouldNotContain(m => m.Path.StartsWith(directory, StringComparison.Ordinal));
        Directory.EnumerateDirectories("/sys/fs/cgroup", s_name, SearchOption.AllDirectories).ShouldBeEmpty();
        Directory.EnumerateDirectories("/proc").ShouldNotContain(p => HasArgument(p, server.Address));
    }

    /// <summary>The smallest root filesystem: a program and what ldd(1) says it loads, at the same paths.</summary>
    private static async Task CopyWithLibrariesAsync(string program, string root)
    {
        using Process ldd = Process.Start(new ProcessStartInfo("ldd", [program]) { RedirectStandardOutput = true, UseShellExecute = false })!;
        string[] words = (await ldd.StandardOutput.ReadToEndAsync()).Split((char[])[' ', '\n', '\t']);
        await ldd.WaitForExitAsync();
        foreach (string path in words.Where(Path.IsPathRooted).Prepend(program))
        {
            Directory.CreateDirectory(root + Path.GetDirectoryName(path));
            File.Copy(path, root + path);
        }
    }

    private static bool HasArgument(string process, string argument)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "cmdline")).Contains(argument, StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }
}
