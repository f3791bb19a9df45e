using System.Buffers.Text;
using System.Text;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images.Tar;

/// <summary>
/// The records of one pax extended header that mean something to a layer.
/// <code>
/// "LENGTH KEY=VALUE\n" …   LENGTH counts the whole record, itself and the newline included
/// </code>
/// POSIX.1-2017 pax, "pax Extended Header"; star(4) for SCHILY.*; libarchive tar(5) for LIBARCHIVE.*; GNU tar manual "Sparse Formats".
/// An empty value means "as in the plain header", except for attributes.
/// </summary>
internal sealed class PaxRecords
{
    private readonly SortedDictionary<PosixPath, ReadOnlyMemory<byte>> _xattrs = [];
    private readonly Dictionary<PosixPath, ReadOnlyMemory<byte>> _libarchiveXattrs = [];

    public PosixPath? Path { get; private set; }

    public PosixPath? LinkPath { get; private set; }

    public PosixPath? UserName { get; private set; }

    public PosixPath? GroupName { get; private set; }

    public long? Size { get; private set; }

    public long? Uid { get; private set; }

    public long? Gid { get; private set; }

    public (long Seconds, uint Nanoseconds)? Mtime { get; private set; }

    public PosixPath? SparseName { get; private set; }

    public long? SparseRealSize { get; private set; }

    public long? SparseMajor { get; private set; }

    public long? SparseMinor { get; private set; }

    /// <summary>Formats 0.0 and 0.1: offset, length, offset, length…; null if there is no such record.</summary>
    public List<long>? SparseMap { get; private set; }

    /// <summary>Sorted, each name once; star's form wins over libarchive's, which bsdtar writes beside it.</summary>
    public IReadOnlyList<Xattr> Xattrs
    {
        get
        {
            foreach ((PosixPath name, ReadOnlyMemory<byte> value) in _libarchiveXattrs)
            {
                _xattrs.TryAdd(name, value);
            }

            return _xattrs.Count == 0 ? [] : [.. _xattrs.Select(x => new Xattr(x.Key, x.Value))];
        }
    }

    public static PaxRecords Parse(ReadOnlySpan<byte> body)
    {
        PaxRecords records = new();
        while (!body.IsEmpty)
        {
            if (!Utf8Parser.TryParse(body, out int length, out int digits) || digits >= body.Length || body[digits] != ' ' || length <= digits + 2 || length > body.Length
                || body[length - 1] != '\n')
            {
                throw LayerFailures.Malformed("a pax header has a record of a wrong length");
            }

            ReadOnlySpan<byte> record = body[(digits + 1)..(length - 1)];
            int equals = record.IndexOf((byte)'=');
            if (equals <= 0)
            {
                throw LayerFailures.Malformed("a pax header has a record without a key");
            }

            records.Add(record[..equals], record[(equals + 1)..]);
            body = body[length..];
        }

        return records;
    }

    private void Add(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        if (key.Contains((byte)0))
        {
            throw LayerFailures.Malformed("a pax header has a key with a NUL byte");
        }

        if (key.StartsWith("SCHILY.xattr."u8))
        {
            _xattrs[PosixPath.FromBytes(key["SCHILY.xattr.".Length..])] = value.ToArray();
        }
        else if (key.StartsWith("LIBARCHIVE.xattr."u8))
        {
            AddLibarchiveXattr(key["LIBARCHIVE.xattr.".Length..], value);
        }
        else if (key.StartsWith("GNU.sparse."u8))
        {
            AddSparse(key["GNU.sparse.".Length..], value);
        }
        else if (key.SequenceEqual("path"u8))
        {
            Path = Name(value);
        }
        else if (key.SequenceEqual("linkpath"u8))
        {
            LinkPath = Name(value);
        }
        else if (key.SequenceEqual("uname"u8))
        {
            UserName = Name(value);
        }
        else if (key.SequenceEqual("gname"u8))
        {
            GroupName = Name(value);
        }
        else if (key.SequenceEqual("size"u8))
        {
            Size = value.IsEmpty ? null : Integer(value, "size");
        }
        else if (key.SequenceEqual("uid"u8))
        {
            Uid = value.IsEmpty ? null : Integer(value, "uid");
        }
        else if (key.SequenceEqual("gid"u8))
        {
            Gid = value.IsEmpty ? null : Integer(value, "gid");
        }
        else if (key.SequenceEqual("mtime"u8))
        {
            Mtime = value.IsEmpty ? null : Time(value);
        }
    }

    private void AddSparse(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        if (key.SequenceEqual("name"u8))
        {
            SparseName = Name(value);
        }
        else if (key.SequenceEqual("realsize"u8) || key.SequenceEqual("size"u8))
        {
            SparseRealSize = Integer(value, "sparse size");
        }
        else if (key.SequenceEqual("major"u8))
        {
            SparseMajor = Integer(value, "sparse version");
        }
        else if (key.SequenceEqual("minor"u8))
        {
            SparseMinor = Integer(value, "sparse version");
        }
        else if (key.SequenceEqual("offset"u8) || key.SequenceEqual("numbytes"u8))
        {
            // format 0.0: the two alternate
            SparseMap ??= [];
            if (SparseMap.Count % 2 != (key.SequenceEqual("offset"u8) ? 0 : 1))
            {
                throw LayerFailures.Malformed("a sparse map in a pax header is out of order");
            }

            SparseMap.Add(Integer(value, "sparse map"));
        }
        else if (key.SequenceEqual("map"u8))
        {
            // format 0.1: comma-separated
            SparseMap = [];
            foreach (Range part in value.Split((byte)','))
            {
                if (!value[part].IsEmpty)
                {
                    SparseMap.Add(Integer(value[part], "sparse map"));
                }
            }
        }
    }

    /// <summary>libarchive percent-encodes the name and writes the value as base64, often without padding.</summary>
    private void AddLibarchiveXattr(ReadOnlySpan<byte> encodedName, ReadOnlySpan<byte> value)
    {
        List<byte> name = [];
        for (int i = 0; i < encodedName.Length; i++)
        {
            if (encodedName[i] == '%' && i + 2 < encodedName.Length && Utf8Parser.TryParse(encodedName.Slice(i + 1, 2), out byte decoded, out int used, 'x') && used == 2)
            {
                name.Add(decoded);
                i += 2;
            }
            else
            {
                name.Add(encodedName[i]);
            }
        }

        string text = Encoding.Latin1.GetString(value).TrimEnd('=');
        try
        {
            _libarchiveXattrs[PosixPath.FromBytes(name.ToArray())] = Convert.FromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='));
        }
        catch (FormatException e)
        {
            throw LayerFailures.Malformed("an extended attribute is not base64", e);
        }
    }

    private static PosixPath? Name(ReadOnlySpan<byte> value)
    {
        if (value.Contains((byte)0))
        {
            throw LayerFailures.Malformed("a pax header has a name with a NUL byte");
        }

        return value.IsEmpty ? null : PosixPath.FromBytes(value);
    }

    private static long Integer(ReadOnlySpan<byte> value, string what) =>
        Utf8Parser.TryParse(value, out long number, out int used) && used == value.Length ? number : throw LayerFailures.Malformed($"a pax header has a {what} that is not a number");

    /// <summary>Decimal seconds with any number of decimals; nanoseconds are kept, the rest cut off. "-1.5" is half a second before -1.</summary>
    private static (long Seconds, uint Nanoseconds) Time(ReadOnlySpan<byte> value)
    {
        bool negative = value[0] == '-';
        int dot = value.IndexOf((byte)'.');
        long seconds = dot == 0 || (dot == 1 && negative) ? 0 : Integer(dot < 0 ? value : value[..dot], "time");
        ReadOnlySpan<byte> decimals = dot < 0 ? default : value[(dot + 1)..];
        long nanoseconds = 0;
        for (int i = 0; i < decimals.Length; i++)
        {
            if (!char.IsAsciiDigit((char)decimals[i]))
            {
                throw LayerFailures.Malformed("a pax header has a time that is not a number");
            }

            nanoseconds = i < 9 ? nanoseconds * 10 + (decimals[i] - '0') : nanoseconds;
        }

        for (int i = decimals.Length; i < 9; i++)
        {
            nanoseconds *= 10;
        }

        if (!negative || nanoseconds == 0)
        {
            return (seconds, (uint)nanoseconds);
        }

        return seconds == long.MinValue ? throw LayerFailures.Malformed("a pax header has a time out of range") : (seconds - 1, (uint)(1_000_000_000 - nanoseconds));
    }
}
