namespace Starlight.Architecture.Tests.Rules;

/// <summary>The repository's own files, for laws that are about text: found upwards from the test's directory.</summary>
internal static class SourceTree
{
    public static string Root { get; } = Find();

    /// <summary>Written C# files below a folder of the repository, as paths from its root.</summary>
    public static IReadOnlyList<string> Files(string folder) =>
    [
        .. Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(Root, path))
            .Where(path => !path.Split('/').Any(part => part is "obj" or "bin" or "artifacts"))
            .Order(StringComparer.Ordinal),
    ];

    public static string[] Lines(string file) => File.ReadAllLines(Path.Combine(Root, file));

    private static string Find()
    {
        DirectoryInfo? directory = new(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Starlight.sln")))
        {
            directory = directory.Parent;
        }

        return directory?.FullName ?? throw new InvalidOperationException($"no Starlight.sln above {AppContext.BaseDirectory}");
    }
}
