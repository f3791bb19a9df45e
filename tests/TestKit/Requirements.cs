using Xunit.Sdk;

namespace Starlight.TestKit;

/// <summary>What a test needs of the machine. Where it is missing the test is skipped, but in CI (<c>CI=true</c>) it fails.</summary>
public static class Requirements
{
    public static void Root() => Require(Environment.UserName == "root", "root");

    /// <summary>A file system in /proc/filesystems.</summary>
    public static void FileSystem(string name) => Require(
        File.ReadLines("/proc/filesystems").Any(line => line.EndsWith("\t" + name, StringComparison.Ordinal)), $"a kernel with {name}");

    /// <summary>A program in the path.</summary>
    public static void Program(string name) => Require(
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin").Any(directory => File.Exists(Path.Combine(directory, name))), name);

    private static void Require(bool isThere, string what)
    {
        if (isThere)
        {
            return;
        }

        throw Environment.GetEnvironmentVariable("CI") == "true"
            ? new InvalidOperationException($"this test needs {what}")
            : SkipException.ForSkip($"needs {what}");
    }
}
