using System.Text;
using Starlight.Domain.Content;

namespace Starlight.TestKit;

/// <summary>
/// A small Starlight image on disk, made with mkfs.erofs: a mounted EROFS that holds names and sizes only, whose files redirect (trusted.overlay.metacopy, .redirect) into a
/// directory of objects named by sha256.
/// </summary>
public sealed class ErofsTree : IDisposable
{
    private readonly Mounted _mount;

    /// <param name="directory">Where everything goes; must exist.</param>
    /// <param name="files">Path → content. Empty content is an empty file.</param>
    /// <param name="prepare">Shell commands run in the tree before it becomes an image, for owners, modes and directories.</param>
    public ErofsTree(string directory, IReadOnlyDictionary<string, string> files, string prepare = "true")
        : this(directory, metadata =>
        {
            foreach ((string path, string content) in files)
            {
                metadata.AddFile(path, Encoding.UTF8.GetBytes(content));
            }

            Tool.Bash(prepare, metadata.SourceDirectory);
        })
    {
    }

    private ErofsTree(string directory, Action<MetadataImage> fill)
    {
        ObjectsDirectory = Directory.CreateDirectory(Path.Combine(directory, "objects")).FullName;
        MetadataImage metadata = new(directory);
        fill(metadata);
        foreach ((Digest digest, byte[] content) in metadata.Contents)
        {
            string file = Path.Combine(ObjectsDirectory, digest.ObjectPath);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllBytes(file, content);
        }

        string image = metadata.BuildAsync().GetAwaiter().GetResult();
        _mount = Mounted.On(Path.Combine(directory, "metadata"), ("erofs", image, ["ro", "loop"]));
    }

    /// <summary>The image of what a script leaves in an empty directory.</summary>
    public static ErofsTree Of(string directory, string script) => new(directory, metadata =>
    {
        Tool.Bash(script, metadata.SourceDirectory);
        metadata.HollowOut();
    });

    public string MetadataDirectory => _mount.Target;

    public string ObjectsDirectory { get; }

    public void Dispose() => _mount.Dispose();
}
