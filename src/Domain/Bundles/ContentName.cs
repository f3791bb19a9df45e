namespace Starlight.Domain.Bundles;

/// <summary>What a content is called in an image, as hashes: enough to find its earlier version in another image, a quarter of the size of the names. Equal hashes of different names cost a useless comparison, nothing else.</summary>
/// <param name="Path">Of the whole path.</param>
/// <param name="PathShape">Of the path without version numbers: <c>/usr/lib/python3.11/ssl.py</c> and <c>/usr/lib/python3.12/ssl.py</c> agree.</param>
/// <param name="NameShape">Of the last component without version numbers: <c>libssl.so.1.1</c> and <c>libssl.so.3</c> agree wherever they are.</param>
public readonly record struct ContentName(ulong Path, ulong PathShape, ulong NameShape);

/// <summary>
/// Hashes a path component by component (FNV-1a, 64 bits: plans must be the same on every proxy, so no hash that differs between processes). A version number is a run of digits
/// with single <c>. - _ + ~ :</c> between them; its shape is one <c>#</c>.
/// </summary>
public readonly struct PathHash
{
    private const ulong Offset = 14695981039346656037;
    private const ulong Prime = 1099511628211;

    private readonly ulong _exact;
    private readonly ulong _shape;

    private PathHash(ulong exact, ulong shape) => (_exact, _shape) = (exact, shape);

    /// <summary>The path of the root directory.</summary>
    public static PathHash Root { get; } = new(Offset, Offset);

    /// <summary>The directory <paramref name="name"/> in this one.</summary>
    public PathHash Append(ReadOnlySpan<byte> name) => new(Exact(Step(_exact, (byte)'/'), name), Shape(Step(_shape, (byte)'/'), name));

    /// <summary>The file <paramref name="name"/> in this directory.</summary>
    public ContentName File(ReadOnlySpan<byte> name)
    {
        PathHash path = Append(name);
        return new ContentName(path._exact, path._shape, Shape(Offset, name));
    }

    private static ulong Exact(ulong hash, ReadOnlySpan<byte> name)
    {
        foreach (byte next in name)
        {
            hash = Step(hash, next);
        }

        return hash;
    }

    private static ulong Shape(ulong hash, ReadOnlySpan<byte> name)
    {
        for (int i = 0; i < name.Length; i++)
        {
            if (!char.IsAsciiDigit((char)name[i]))
            {
                hash = Step(hash, name[i]);
                continue;
            }

            while (i + 1 < name.Length && (IsDigit(name, i + 1) || (".-_+~:"u8.Contains(name[i + 1]) && IsDigit(name, i + 2))))
            {
                i++;
            }

            hash = Step(hash, (byte)'#');
        }

        return hash;
    }

    private static bool IsDigit(ReadOnlySpan<byte> name, int at) => at < name.Length && char.IsAsciiDigit((char)name[at]);

    private static ulong Step(ulong hash, byte next) => (hash ^ next) * Prime;
}
