namespace Starlight.TestKit;

/// <summary>Everything about a directory that must be equal in two equal directories, as text: kind, mode, owner, size, link target and content of every entry.</summary>
public static class DirectoryListing
{
    public static string Of(string directory) => Tool.Bash(
        """
        find . -mindepth 1 \( -type d -printf '%P %y %m %U:%G\n' -o -printf '%P %y %m %U:%G %s %n %l\n' \) | LC_ALL=C sort
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
        """,
        directory);
}
