using System.Globalization;
using System.Runtime.InteropServices;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>What a walk inside a container sees, as lines that are equal if and only if the trees are: walk.sh's output, in an order of its own and with inode numbers made into link groups.</summary>
internal static class ContainerWalk
{
    /// <summary>Of a line of stat: the quoted name (and <c>-> target</c>), kind, mode, owner, size, mtime, inode number, device numbers.</summary>
    private const int Name = 0;
    private const int Kind = 1;
    private const int Size = 4;
    private const int Mtime = 5;
    private const int InodeNumber = 6;

    /// <param name="stack">Where the image is known.</param>
    /// <param name="reference">The image.</param>
    /// <param name="snapshotter">Which snapshotter unpacks or mounts it.</param>
    /// <param name="madeByUnpacking">Directories that no layer describes: their mtime is the moment of unpacking. Filled if <paramref name="unpackedSince"/> is given.</param>
    /// <param name="unpackedSince">Directories changed since then go to <paramref name="madeByUnpacking"/>.</param>
    public static async Task<string[]> InsideAsync(StarlightStack stack, string reference, string snapshotter, ISet<string> madeByUnpacking, DateTimeOffset? unpackedSince = null)
    {
        string script = await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "walk.sh"));
        string link = Directory.EnumerateFiles(RuntimeInformation.OSArchitecture == Architecture.X64 ? "/lib64" : "/lib", "ld-linux-*").First();
        string loader = "/mnt" + (File.ResolveLinkTarget(link, returnFinalTarget: true)?.FullName ?? link);
        string libraries = string.Join(':', Directory.EnumerateDirectories("/usr/lib", "*-linux-gnu").Select(d => "/mnt" + d));
        string output = await stack.RunAsync(
            reference,
            [loader, "--library-path", libraries, "/mnt/usr/bin/dash", "-c", script, "walk", loader, libraries],
            snapshotter,
            "--mount",
            "type=bind,src=/,dst=/mnt,options=bind:ro");
        string[] sections = output.Split("== ", StringSplitOptions.RemoveEmptyEntries);
        sections.Select(s => s.Split('\n')[0]).ShouldBe(["entries", "contents", "attributes", "end"]);
        string[][] entries = [.. sections[0].Split('\n')[1..^1].Select(l => l.Split('\t')).OrderBy(f => f[Name], StringComparer.Ordinal)];
        if (unpackedSince is { } since)
        {
            madeByUnpacking.UnionWith(entries.Where(f => f[Kind] == "directory" && decimal.Parse(f[Mtime], CultureInfo.InvariantCulture) >= since.ToUnixTimeMilliseconds() / 1000m).Select(f => f[Name]));
        }

        return
        [
            .. Entries(entries, madeByUnpacking),
            .. sections[1].Split('\n')[1..^1].Order(StringComparer.Ordinal),
            .. sections[2][(sections[2].IndexOf('\n', StringComparison.Ordinal) + 1)..].Split("\n\n").Select(block => block.Trim().Replace('\n', ' ')).Order(StringComparer.Ordinal),
        ];
    }

    private static IEnumerable<string> Entries(string[][] entries, ISet<string> madeByUnpacking)
    {
        Dictionary<string, string[]> groups = entries.Where(f => f[Kind] != "directory").GroupBy(f => f[InodeNumber])
            .ToDictionary(g => g.Key, g => g.Select(f => f[Name]).ToArray(), StringComparer.Ordinal);
        foreach (string[] fields in entries)
        {
            bool isDirectory = fields[Kind] == "directory";
            if (isDirectory)
            {
                // how much a directory takes is the file system's affair
                fields[Size] = "-";
                fields[Mtime] = madeByUnpacking.Contains(fields[Name]) ? "-" : fields[Mtime];
            }

            // a group is named by its first member
            fields[InodeNumber] = isDirectory ? "-" : groups[fields[InodeNumber]].Length == 1 ? "single" : "with " + groups[fields[InodeNumber]][0];
            yield return string.Join(" | ", fields);
        }
    }
}
