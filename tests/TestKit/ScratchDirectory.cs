namespace Starlight.TestKit;

/// <summary>A directory of a test's own below the system's temporary one; gone with everything in it at the end.</summary>
public sealed class ScratchDirectory : IDisposable
{
    public ScratchDirectory() => Path = Directory.CreateTempSubdirectory("starlight-test-").FullName;

    public string Path { get; }

    /// <summary>A new subdirectory.</summary>
    public string Create(string name) => Directory.CreateDirectory(System.IO.Path.Combine(Path, name)).FullName;

    public string Combine(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
