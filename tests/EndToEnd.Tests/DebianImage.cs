using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>A real image: Debian with redis in three layers, as the demo uses it. Made once per machine by scripts/make-debian-image.sh.</summary>
internal static class DebianImage
{
    private const string Layout = "/var/cache/starlight/demo-images/redis";

    /// <returns>A source for skopeo.</returns>
    public static string Source(string version = "old")
    {
        string script = Path.Combine(Root(), "scripts", "make-debian-image.sh");
        Tool.Run(script, [Layout, version, version]);
        return $"oci:{Layout}:{version}";
    }

    private static string Root()
    {
        DirectoryInfo? directory = new(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Starlight.sln")))
        {
            directory = directory.Parent;
        }

        return directory?.FullName ?? throw new DirectoryNotFoundException("these tests run in a checkout of Starlight");
    }
}
