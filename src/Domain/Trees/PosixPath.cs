using System.Text;

namespace Starlight.Domain.Trees;

/// <summary>
/// A file name, path or link target as POSIX has it: any bytes but NUL, not necessarily UTF-8. Each byte is kept as one
/// UTF-16 unit (U+0000–U+00FF), so ordinal string order is byte order, dictionaries work and nothing is lost on the way.
/// Use <see cref="Display"/> for people, never for the disk.
/// </summary>
public readonly record struct PosixPath : IComparable<PosixPath>
{
    private readonly string? _raw;

    private PosixPath(string raw) => _raw = raw;

    /// <summary>The empty path: the root of a layer or tree.</summary>
    public static PosixPath Root => default;

    /// <summary>One char per byte (Latin-1).</summary>
    public string Raw => _raw ?? "";

    /// <summary>Length in bytes.</summary>
    public int Length => Raw.Length;

    public bool IsEmpty => Raw.Length == 0;

    /// <summary>The part after the last slash.</summary>
    public PosixPath Name
    {
        get
        {
            int slash = Raw.LastIndexOf('/');
            return slash < 0 ? this : new PosixPath(Raw[(slash + 1)..]);
        }
    }

    /// <summary>The part before the last slash; <see cref="Root"/> if there is none.</summary>
    public PosixPath Parent
    {
        get
        {
            int slash = Raw.LastIndexOf('/');
            return slash < 0 ? Root : new PosixPath(Raw[..slash]);
        }
    }

    /// <summary>UTF-8 text for messages; bytes that are not UTF-8 show as U+FFFD.</summary>
    public string Display => Encoding.UTF8.GetString(ToBytes());

    public static bool operator <(PosixPath left, PosixPath right) => left.CompareTo(right) < 0;

    public static bool operator >(PosixPath left, PosixPath right) => left.CompareTo(right) > 0;

    public static bool operator <=(PosixPath left, PosixPath right) => left.CompareTo(right) <= 0;

    public static bool operator >=(PosixPath left, PosixPath right) => left.CompareTo(right) >= 0;

    public static PosixPath FromBytes(ReadOnlySpan<byte> bytes) => new(Encoding.Latin1.GetString(bytes));

    /// <summary>From ordinary text, encoded as UTF-8.</summary>
    public static PosixPath FromText(string text) => FromBytes(Encoding.UTF8.GetBytes(text));

    /// <summary>From a string that holds one byte per char already.</summary>
    public static PosixPath FromRaw(string raw) => new(raw);

    public byte[] ToBytes() => Encoding.Latin1.GetBytes(Raw);

    /// <summary>This path, a slash and <paramref name="name"/>; just the name below <see cref="Root"/>.</summary>
    public PosixPath Append(PosixPath name) => IsEmpty ? name : new PosixPath(Raw + "/" + name.Raw);

    /// <summary>
    /// The path as layers name it: no leading or trailing slash, no empty or <c>.</c> component, <c>..</c> resolved and never
    /// above the root (as containerd cleans tar names). The result has no way out of the tree.
    /// </summary>
    public PosixPath Clean()
    {
        List<string> parts = [];
        foreach (string part in Raw.Split('/'))
        {
            if (part.Length == 0 || part == ".")
            {
                continue;
            }

            if (part == "..")
            {
                if (parts.Count > 0)
                {
                    parts.RemoveAt(parts.Count - 1);
                }

                continue;
            }

            parts.Add(part);
        }

        return new PosixPath(string.Join('/', parts));
    }

    public int CompareTo(PosixPath other) => string.CompareOrdinal(Raw, other.Raw);

    public bool Equals(PosixPath other) => string.Equals(Raw, other.Raw, StringComparison.Ordinal);

    public override int GetHashCode() => Raw.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Display;
}
