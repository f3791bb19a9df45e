namespace Starlight.TestKit;

/// <summary>A directory of a test's own below the system's temporary one; gone with everything in it at the end.</summary>
public sealed class ScratchDirectory : IDisposable
{
    public ScratchDirectory() => Path = Directory.CreateTempSubdirectory("starlight-test-").FullName;

    public string Path { get; }

    /// <summary>A path in it.</summary>
    public string this[string name] => Combine(name);

    /// <summary>A new subdirectory.</summary>
    public string Create(string name) => Directory.CreateDirectory(Combine(name)).FullName;

    public string Combine(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>By rm, because the framework cannot delete names that are not UTF-8.</summary>
    public void Dispose() => Tool.Run("rm", ["-rf", "--one-file-system", "--", Path]);
}
