using System.Text;
using System.Text.Json;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Convert;

/// <summary>
/// A JSON value as a part of the bytes it was read from, and the changes to be made to it. Whatever is not changed is written as it was, byte for byte: white space,
/// escapes, order, unknown fields and numbers of any size. (Documents of images are known by their digest; re-serialising them changes more than was meant.)
/// </summary>
internal sealed class JsonDocumentEdit
{
    /// <summary>As in OciJson: documents are a few levels deep. Arbitrary.</summary>
    private const int MaxDepth = 32;

    private readonly ReadOnlyMemory<byte> _raw;
    private readonly int _start;
    private readonly List<Child> _children = [];
    private readonly List<(string Name, JsonDocumentEdit Value)> _added = [];
    private int _end;
    private byte[]? _replacement;

    private JsonDocumentEdit(ReadOnlyMemory<byte> raw, int start, JsonTokenType kind)
    {
        _raw = raw;
        _start = start;
        Kind = kind;
    }

    /// <summary>StartObject, StartArray, or the kind of a scalar.</summary>
    public JsonTokenType Kind { get; }

    /// <summary>Of an array, those taken out included.</summary>
    public IReadOnlyList<JsonDocumentEdit> Items => [.. _children.Select(c => c.Value)];

    /// <exception cref="FailureException">DataCorrupt <c>Json.Malformed</c>.</exception>
    public static JsonDocumentEdit Parse(string what, ReadOnlyMemory<byte> raw)
    {
        try
        {
            Utf8JsonReader reader = new(raw.Span, new JsonReaderOptions { MaxDepth = MaxDepth });
            reader.Read();
            JsonDocumentEdit root = Read(raw, ref reader);
            while (reader.Read())
            {
            }

            return root;
        }
        catch (JsonException e)
        {
            throw new FailureException(new Error("Json.Malformed", $"{what} is not JSON (line {e.LineNumber}, byte {e.BytePositionInLine})", ErrorKind.DataCorrupt), e);
        }
    }

    /// <summary>The member of an object, null if there is none. Of several with one name the last counts, as for most readers.</summary>
    public JsonDocumentEdit? Member(string name) => _children.LastOrDefault(c => c.Name == name && !c.IsRemoved).Value ?? _added.LastOrDefault(a => a.Name == name).Value;

    /// <summary>The member, made as an empty object if there is none or it is null.</summary>
    public JsonDocumentEdit ObjectMember(string name)
    {
        if (Member(name) is { Kind: JsonTokenType.StartObject } existing)
        {
            return existing;
        }

        JsonDocumentEdit made = Parse(name, "{}"u8.ToArray());
        RemoveMember(name);
        _added.Add((name, made));
        return made;
    }

    public string? Text() => Kind == JsonTokenType.String ? JsonSerializer.Deserialize(_raw[_start.._end].Span, TextContext.Relaxed.String) : null;

    public void SetMember(string name, string value) => SetRaw(name, JsonSerializer.SerializeToUtf8Bytes(value, TextContext.Relaxed.String));

    public void SetMember(string name, long value) => SetRaw(name, Encoding.ASCII.GetBytes(value.ToString(System.Globalization.CultureInfo.InvariantCulture)));

    public void Replace(string value) => _replacement = JsonSerializer.SerializeToUtf8Bytes(value, TextContext.Relaxed.String);

    public void RemoveMember(string name) => RemoveMembers(n => n == name);

    public void RemoveMembers(Predicate<string> match)
    {
        for (int i = 0; i < _children.Count; i++)
        {
            _children[i] = match(_children[i].Name) ? _children[i] with { IsRemoved = true } : _children[i];
        }

        _added.RemoveAll(a => match(a.Name));
    }

    public void RemoveItem(int index) => _children[index] = _children[index] with { IsRemoved = true };

    public byte[] ToBytes()
    {
        using MemoryStream output = new();
        output.Write(_raw.Span[.._start]);
        Write(output);
        output.Write(_raw.Span[_end..]);
        return output.ToArray();
    }

    private static JsonDocumentEdit Read(ReadOnlyMemory<byte> raw, ref Utf8JsonReader reader)
    {
        JsonDocumentEdit value = new(raw, (int)reader.TokenStartIndex, reader.TokenType);
        if (reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray)
        {
            while (reader.Read() && reader.TokenType is not (JsonTokenType.EndObject or JsonTokenType.EndArray))
            {
                int start = (int)reader.TokenStartIndex;
                string name = "";
                if (reader.TokenType == JsonTokenType.PropertyName)
                {
                    name = reader.GetString()!;
                    reader.Read();
                }

                value._children.Add(new Child(name, start, Read(raw, ref reader), IsRemoved: false));
            }
        }

        value._end = (int)reader.BytesConsumed;
        return value;
    }

    private void SetRaw(string name, byte[] json)
    {
        if (Member(name) is { } member)
        {
            member._replacement = json;
        }
        else
        {
            JsonDocumentEdit made = Parse(name, json);
            _added.Add((name, made));
        }
    }

    /// <summary>Each child with the bytes between it and the one before (comma and white space); what is added goes behind the last.</summary>
    private void Write(MemoryStream output)
    {
        if (_replacement is not null)
        {
            output.Write(_replacement);
            return;
        }

        if (Kind is not (JsonTokenType.StartObject or JsonTokenType.StartArray))
        {
            output.Write(_raw.Span[_start.._end]);
            return;
        }

        ReadOnlySpan<byte> raw = _raw.Span;
        output.Write(raw[_start..(_start + 1)]);
        int previousEnd = _start + 1;
        int firstGapEnd = _children.Count > 0 ? _children[0].Start : previousEnd;
        bool isFirst = true;
        foreach (Child child in _children)
        {
            if (!child.IsRemoved)
            {
                output.Write(isFirst ? raw[(_start + 1)..firstGapEnd] : raw[previousEnd..child.Start]);
                output.Write(raw[child.Start..child.Value._start]);
                child.Value.Write(output);
                isFirst = false;
            }

            previousEnd = child.Value._end;
        }

        foreach ((string name, JsonDocumentEdit value) in _added)
        {
            output.Write(isFirst ? ""u8 : ","u8);
            output.Write(JsonSerializer.SerializeToUtf8Bytes(name, TextContext.Relaxed.String));
            output.Write(":"u8);
            output.Write(value.ToBytes());
            isFirst = false;
        }

        output.Write(raw[previousEnd.._end]);
    }

    /// <param name="Start">Of the name in an object, of the value in an array.</param>
    private readonly record struct Child(string Name, int Start, JsonDocumentEdit Value, bool IsRemoved);
}
