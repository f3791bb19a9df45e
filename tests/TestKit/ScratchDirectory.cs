namespace Starlight.TestKit;

/// <summary>A directory of its own for one test, removed with everything in it at the end.</summary>
public sealed class ScratchDirectory : IDisposable
{
    public ScratchDirectory() => Path = Directory.CreateTempSubdirectory("starlight-test-").FullName;

    public string Path { get; }

    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>A new subdirectory.</summary>
    public string Create(string name) => Directory.CreateDirectory(this[name]).FullName;

    public string Combine(string name) => this[name];

    /// <summary>By rm, because the framework cannot delete names that are not UTF-8.</summary>
    public void Dispose() => Tool.Run("rm", ["-rf", "--", Path]);
}
