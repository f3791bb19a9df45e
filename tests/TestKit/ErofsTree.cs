using System.Security.Cryptography;
using System.Text;

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
    {
        string tree = Path.Combine(directory, "tree");
        ObjectsDirectory = Path.Combine(directory, "objects");
        Directory.CreateDirectory(tree);
        Directory.CreateDirectory(ObjectsDirectory);
        foreach ((string path, string content) in files)
        {
            string file = Path.Combine(tree, path);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            using (FileStream sparse = File.Create(file))
            {
                sparse.SetLength(Encoding.UTF8.GetByteCount(content));
            }

            if (content.Length == 0)
            {
                continue;
            }

            string hex = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)));
            string redirect = $"/{hex[..2]}/{hex[2..]}";
            Directory.CreateDirectory(Path.Combine(ObjectsDirectory, hex[..2]));
            File.WriteAllText(ObjectsDirectory + redirect, content);
            Tool.Run("setfattr", ["-n", "trusted.overlay.metacopy", file]);
            Tool.Run("setfattr", ["-n", "trusted.overlay.redirect", "-v", redirect, file]);
        }

        Tool.Bash(prepare, tree);
        string image = Path.Combine(directory, "tree.erofs");
        Tool.Run("mkfs.erofs", [image, tree]);
        _mount = Mounted.On(Path.Combine(directory, "metadata"), ("erofs", image, ["ro", "loop"]));
    }

    public string MetadataDirectory => _mount.Target;

    public string ObjectsDirectory { get; }

    public void Dispose() => _mount.Dispose();
}
