using System.Runtime.InteropServices;
using System.Text;
using Starlight.Domain.Content;

namespace Starlight.TestKit;

/// <summary>
/// Makes metadata-only EROFS images with mkfs.erofs, independently of our own writer: a source directory whose regular files are sparse and carry the two
/// overlay attributes.
/// </summary>
public sealed partial class MetadataImage(string workDirectory)
{
    /// <summary>The tree before it becomes an image, for owners, modes and whatever else.</summary>
    public string SourceDirectory { get; } = Directory.CreateDirectory(Path.Combine(workDirectory, "image-source")).FullName;

    /// <summary>Contents by digest, as added; empty files have none.</summary>
    public Dictionary<Digest, byte[]> Contents { get; } = [];

    /// <summary>Adds a regular file whose content is left out of the image. Gives the content's digest.</summary>
    public Digest AddFile(string path, byte[] content, UnixFileMode mode = (UnixFileMode)0x1A4)
    {
        string file = Path.Combine(SourceDirectory, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        using (FileStream stream = File.Create(file))
        {
            stream.SetLength(content.Length);
        }

        Digest digest = Digest.Of(content);
        if (content.Length > 0)
        {
            SetRedirect(file, content);
        }

        File.SetUnixFileMode(file, mode);
        return digest;
    }

    /// <summary>
    /// Leaves the contents of all regular files out of the image that were written to <see cref="SourceDirectory"/> directly; names, owners, modes and hard links stay.
    /// </summary>
    public void HollowOut()
    {
        HashSet<string> inodes = [];
        foreach (string[] line in Tool.Bash("find . -type f -size +0 -printf '%i %P\\n'", SourceDirectory).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(' ', 2)))
        {
            if (!inodes.Add(line[0]))
            {
                continue;
            }

            string file = Path.Combine(SourceDirectory, line[1]);
            byte[] content = File.ReadAllBytes(file);
            using (FileStream stream = new(file, FileMode.Open, FileAccess.Write))
            {
                stream.SetLength(0);
                stream.SetLength(content.Length);
            }

            SetRedirect(file, content);
        }
    }

    public void AddSymlink(string path, string target)
    {
        string link = Path.Combine(SourceDirectory, path);
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        File.CreateSymbolicLink(link, target);
    }

    public void AddDirectory(string path) => Directory.CreateDirectory(Path.Combine(SourceDirectory, path));

    /// <summary>Writes the image file.</summary>
    public async Task<string> BuildAsync(string name = "image.erofs")
    {
        string image = Path.Combine(workDirectory, name);
        (await ProcessRunner.RunAsync("mkfs.erofs", [image, SourceDirectory])).Succeeded();
        return image;
    }

    private void SetRedirect(string file, byte[] content)
    {
        Digest digest = Digest.Of(content);
        SetAttribute(file, "trusted.overlay.metacopy", "");
        SetAttribute(file, "trusted.overlay.redirect", "/" + digest.ObjectPath);
        Contents[digest] = content;
    }

    private static void SetAttribute(string file, string name, string value)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(value);
        if (SetXattrNative(file, name, bytes, (nuint)bytes.Length, 0) != 0)
        {
            throw new IOException($"setxattr {name} on {file}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    [LibraryImport("libc", EntryPoint = "lsetxattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetXattrNative(string path, string name, byte[] value, nuint size, int flags);
}
