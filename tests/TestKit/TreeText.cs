using System.Globalization;
using System.Text;
using Starlight.Domain.Trees;

namespace Starlight.TestKit;

/// <summary>Trees as text, one line a name, so that a failing comparison shows at once what differs. Every attribute is in it.</summary>
public static class TreeText
{
    /// <summary>
    /// <c>d etc 755 0:0 @100</c>, <c>f etc/passwd 644 0:0 @100.5 12 sha256:… {user.a=31}</c>, <c>l bin -&gt; usr/bin</c>; a name of an inode
    /// seen before ends in <c>= first name</c>.
    /// </summary>
    public static string Full(FileTree tree)
    {
        StringBuilder text = new();
        Dictionary<Inode, PosixPath> seen = new(ReferenceEqualityComparer.Instance);
        foreach ((PosixPath path, Inode inode) in tree.Walk())
        {
            text.Append(Kind(inode.Kind)).Append(' ').Append(path.IsEmpty ? "." : path.Raw).Append(' ').Append(Convert.ToString(inode.Mode, 8));
            text.Append(CultureInfo.InvariantCulture, $" {inode.Uid}:{inode.Gid} @{inode.MtimeSeconds}");
            text.Append(inode.MtimeNanoseconds == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $".{inode.MtimeNanoseconds:D9}"));
            text.Append(inode.Kind switch
            {
                FileKind.Regular => string.Create(CultureInfo.InvariantCulture, $" {inode.Size} {inode.Content}"),
                FileKind.Symlink => $" -> {inode.LinkTarget.Raw}",
                FileKind.CharacterDevice or FileKind.BlockDevice => string.Create(CultureInfo.InvariantCulture, $" {inode.DeviceMajor},{inode.DeviceMinor}"),
                _ => "",
            });
            foreach (Xattr xattr in inode.Xattrs)
            {
                text.Append(" {").Append(xattr.Name.Raw).Append('=').Append(Convert.ToHexString(xattr.Value.Span)).Append('}');
            }

            if (!seen.TryAdd(inode, path))
            {
                text.Append(" = ").Append(seen[inode].Raw);
            }

            text.Append('\n');
        }

        return text.ToString();
    }

    private static char Kind(FileKind kind) => kind switch
    {
        FileKind.Regular => 'f',
        FileKind.Directory => 'd',
        FileKind.Symlink => 'l',
        FileKind.CharacterDevice => 'c',
        FileKind.BlockDevice => 'b',
        _ => 'p',
    };
}
