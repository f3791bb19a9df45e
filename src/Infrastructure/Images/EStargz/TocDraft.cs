using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Tar;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>
/// Collects what the TOC will say while a blob is written, and writes it as JSON when the members' places are known (docs/formats/estargz.md). The JSON of a large
/// layer has hundreds of megabytes, so it is produced entry by entry, once to learn its length and digest and once for the blob.
/// </summary>
internal sealed class TocDraft
{
    private static readonly JsonWriterOptions JsonOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly List<File> _files = [];
    private readonly List<(int Member, Digest Digest)> _chunks = [];
    private readonly Dictionary<(bool Group, uint Id), PosixPath> _lastNames = [];

    /// <param name="entry">Already with the digest of its content.</param>
    /// <param name="tar">The tar entry it stands for.</param>
    public void Add(LayerEntry entry, TarEntry tar) =>
        _files.Add(new File(entry, tar.Name, NameIfChanged(group: false, tar.Uid, tar.UserName), NameIfChanged(group: true, tar.Gid, tar.GroupName), _chunks.Count));

    /// <summary>A piece of the file that is added next.</summary>
    /// <param name="member">The gzip member that holds it and nothing before it.</param>
    /// <param name="digest">sha256 of the piece.</param>
    public void AddChunk(int member, Digest digest) => _chunks.Add((member, digest));

    /// <summary>Writes the TOC. The same draft gives the same bytes, in writes of the same lengths.</summary>
    public void Write(Stream output, IReadOnlyList<long> memberOffsets, long chunkSize)
    {
        using Utf8JsonWriter json = new(output, JsonOptions);
        json.WriteStartObject();
        json.WriteNumber("version", 1);
        json.WriteStartArray("entries");
        int chunk = 0;
        foreach (File file in _files)
        {
            WriteFile(json, file, chunk, memberOffsets, chunkSize);
            chunk = file.EndChunk;
            json.Flush();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteFile(Utf8JsonWriter json, File file, int chunk, IReadOnlyList<long> memberOffsets, long chunkSize)
    {
        LayerEntry entry = file.Entry;
        json.WriteStartObject();
        json.WriteString("name", file.Name.Display);
        json.WriteString("type", EStargzTypes.Name(entry.Kind));
        WriteUnlessZero(json, "size", entry.Size);
        if (Rfc3339(entry) is { } time)
        {
            json.WriteString("modtime", time);
        }

        if (!entry.LinkTarget.IsEmpty)
        {
            json.WriteString("linkName", entry.LinkTarget.Display);
        }

        json.WriteNumber("mode", entry.Mode);
        json.WriteNumber("uid", entry.Uid);
        json.WriteNumber("gid", entry.Gid);
        WriteUnlessEmpty(json, "userName", file.UserName);
        WriteUnlessEmpty(json, "groupName", file.GroupName);
        if (entry.Kind is FileKind.CharacterDevice or FileKind.BlockDevice)
        {
            json.WriteNumber("devMajor", entry.DeviceMajor);
            json.WriteNumber("devMinor", entry.DeviceMinor);
        }

        WriteXattrs(json, entry.Xattrs);
        if (entry.Kind == FileKind.Regular)
        {
            json.WriteString("digest", entry.Content.ToString());
        }

        for (int i = chunk; i < file.EndChunk; i++)
        {
            if (i > chunk)
            {
                json.WriteEndObject();
                json.WriteStartObject();
                json.WriteString("name", file.Name.Display);
                json.WriteString("type", "chunk");
            }

            json.WriteNumber("offset", memberOffsets[_chunks[i].Member]);
            WriteUnlessZero(json, "chunkOffset", (i - chunk) * chunkSize);
            WriteUnlessZero(json, "chunkSize", i < file.EndChunk - 1 ? chunkSize : 0);
            json.WriteString("chunkDigest", _chunks[i].Digest.ToString());
        }

        json.WriteEndObject();
    }

    private static void WriteXattrs(Utf8JsonWriter json, IReadOnlyList<Xattr> xattrs)
    {
        if (xattrs.Count > 0)
        {
            json.WriteStartObject("xattrs");
            foreach (Xattr xattr in xattrs)
            {
                json.WriteBase64String(xattr.Name.Display, xattr.Value.Span);
            }

            json.WriteEndObject();
        }
    }

    private static void WriteUnlessZero(Utf8JsonWriter json, string name, long value)
    {
        if (value != 0)
        {
            json.WriteNumber(name, value);
        }
    }

    private static void WriteUnlessEmpty(Utf8JsonWriter json, string name, PosixPath value)
    {
        if (!value.IsEmpty)
        {
            json.WriteString(name, value.Display);
        }
    }

    /// <summary>Null for the epoch itself ("zero or unknown") and for times that RFC 3339 cannot say.</summary>
    private static string? Rfc3339(LayerEntry entry)
    {
        if ((entry.MtimeSeconds, entry.MtimeNanoseconds) == (0, 0)
            || entry.MtimeSeconds < DateTimeOffset.MinValue.ToUnixTimeSeconds() || entry.MtimeSeconds > DateTimeOffset.MaxValue.ToUnixTimeSeconds())
        {
            return null;
        }

        string seconds = DateTimeOffset.FromUnixTimeSeconds(entry.MtimeSeconds).ToString("yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture);
        string decimals = entry.MtimeNanoseconds == 0 ? "" : "." + entry.MtimeNanoseconds.ToString("d9", CultureInfo.InvariantCulture).TrimEnd('0');
        return seconds + decimals + "Z";
    }

    /// <summary>The format lets a name be left out where it is what the last entry with the same id said.</summary>
    private PosixPath NameIfChanged(bool group, uint id, PosixPath name)
    {
        if (name.IsEmpty || (_lastNames.TryGetValue((group, id), out PosixPath last) && last == name))
        {
            return PosixPath.Root;
        }

        _lastNames[(group, id)] = name;
        return name;
    }

    private readonly record struct File(LayerEntry Entry, PosixPath Name, PosixPath UserName, PosixPath GroupName, int EndChunk);
}
