using System.Diagnostics.CodeAnalysis;

namespace Starlight.Infrastructure.Images.Sources;

/// <summary>An image on this machine, as users write it: <c>oci:DIR[:TAG]</c> or <c>FILE[:TAG]</c> with FILE ending in .tar, .tar.gz or .tgz.</summary>
/// <param name="Path">Of the directory or file.</param>
/// <param name="Tag">Which of several images; null for the only one.</param>
/// <param name="IsDirectory">An OCI layout directory rather than an archive.</param>
internal sealed record LocalLocation(string Path, string? Tag, bool IsDirectory)
{
    private const string LayoutPrefix = "oci:";

    private static readonly string[] ArchiveSuffixes = [".tar", ".tar.gz", ".tgz"];

    public string DisplayName => (IsDirectory ? LayoutPrefix : "") + Path + (Tag is null ? "" : ":" + Tag);

    /// <summary>False if the text is meant for a registry. Does not look whether a directory exists, but an archive with a tag must, since <c>a.tar:1</c> could be a reference.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out LocalLocation? location)
    {
        location = null;
        if (string.IsNullOrEmpty(text))
        {
            return false;
        }

        if (text.StartsWith(LayoutPrefix, StringComparison.Ordinal))
        {
            string rest = text[LayoutPrefix.Length..];
            int tag = TagColon(rest);
            location = tag < 0 ? new LocalLocation(rest, Tag: null, IsDirectory: true) : new LocalLocation(rest[..tag], rest[(tag + 1)..], IsDirectory: true);
            return true;
        }

        if (IsArchive(text))
        {
            location = new LocalLocation(text, Tag: null, IsDirectory: false);
            return true;
        }

        for (int colon = text.IndexOf(':', StringComparison.Ordinal); colon >= 0; colon = text.IndexOf(':', colon + 1))
        {
            if (IsArchive(text[..colon]) && File.Exists(text[..colon]))
            {
                location = new LocalLocation(text[..colon], text[(colon + 1)..], IsDirectory: false);
                return true;
            }
        }

        return false;
    }

    private static bool IsArchive(string text) => Array.Exists(ArchiveSuffixes, s => text.EndsWith(s, StringComparison.OrdinalIgnoreCase));

    /// <summary>
    /// The first colon, so that tags may be whole references (<c>oci:dir:docker.io/library/redis:7</c>), unless what is before the last one exists: a directory may have
    /// colons in its name.
    /// </summary>
    private static int TagColon(string text)
    {
        if (Directory.Exists(text))
        {
            return -1;
        }

        for (int colon = text.LastIndexOf(':'); colon > 0; colon = text.LastIndexOf(':', colon - 1))
        {
            if (Directory.Exists(text[..colon]))
            {
                return colon;
            }
        }

        return text.IndexOf(':', StringComparison.Ordinal);
    }
}
