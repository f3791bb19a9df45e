namespace Starlight.TestKit;

/// <summary>How to start one of the three programs: from <c>$STARLIGHT_BIN</c> if that is set, else as built beside the tests.</summary>
public static class StarlightProgram
{
    public static IReadOnlyList<string> Proxy => Find("Presentation.Proxy", "starlight-proxy");

    public static IReadOnlyList<string> Daemon => Find("Presentation.Worker", "starlight-daemon");

    public static IReadOnlyList<string> Cli => Find("Presentation.Cli", "ctr-starlight");

    private static string[] Find(string project, string name)
    {
        string? installed = Environment.GetEnvironmentVariable("STARLIGHT_BIN");

        string directory = string.IsNullOrEmpty(installed) ? Built(project) : installed;
        string program = Path.Combine(directory, name);
        if (!string.IsNullOrEmpty(installed) && File.Exists(program))
        {
            return [program];
        }

        return File.Exists(program + ".dll")
            ? [Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", program + ".dll"]
            : throw new FileNotFoundException($"{name} is not in {directory}: build src/{project} in the same configuration as the tests, or set STARLIGHT_BIN");
    }

    /// <summary>artifacts/bin/PROJECT/CONFIGURATION of the repository that the test runs in, and of the same configuration as the test.</summary>
    private static string Built(string project)
    {
        DirectoryInfo own = new(AppContext.BaseDirectory.TrimEnd('/'));
        DirectoryInfo? root = own;
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "Starlight.sln")))
        {
            root = root.Parent;
        }

        return root is not null
            ? Path.Combine(root.FullName, "artifacts", "bin", project, own.Name)
            : throw new DirectoryNotFoundException($"{own.FullName} is not in a checkout of Starlight: set STARLIGHT_BIN to the directory of the programs");
    }
}
