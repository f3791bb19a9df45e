using System.Text.Json;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>
/// Reads from a TOC that streams by during a scan where the contents of the entries before it lie, and nothing else: a TOC of a large layer has hundreds of megabytes, so
/// it is never held. The TOC is not trusted: one that does not follow the tar, entry by entry, gives nothing, and what it says of places is checked by
/// digest when it is used.
/// </summary>
internal sealed class TocMembers(IReadOnlyList<LayerEntry> entries)
{
    private const int EntryDepth = 2;

    /// <summary>
    /// A token of JSON is kept until its end has come. The longest of a sound TOC is a path, 4 KiB, or an extended attribute, 64 KiB (xattr(7)) in base64; what is longer is there to fill
    /// memory.
    /// </summary>
    private const int MaxToken = 1 << 20;

    private readonly LayerMembers.Writer _members = new();
    private JsonReaderState _state;
    private byte[] _unread = [];
    private int _unreadLength;
    private bool _isBroken;

    /// <summary>The next of <c>entries</c> to be found in the TOC.</summary>
    private int _next;

    /// <summary>Bytes of the current file that still need a piece.</summary>
    private long _left;

    private bool _isLandmark;
    private TocField _field;
    private TocEntry _entry;

    private enum TocField
    {
        Other,
        Type,
        Size,
        Digest,
        Offset,
        InnerOffset,
        ChunkSize,
    }

    /// <param name="json">The next bytes of the TOC.</param>
    public void Append(ReadOnlySpan<byte> json)
    {
        if (_isBroken)
        {
            return;
        }

        if (_unreadLength > MaxToken)
        {
            _isBroken = true;
            return;
        }

        if (_unreadLength + json.Length > _unread.Length)
        {
            Array.Resize(ref _unread, Math.Max(64 * 1024, 2 * (_unreadLength + json.Length)));
        }

        json.CopyTo(_unread.AsSpan(_unreadLength));
        _unreadLength += json.Length;
        try
        {
            Utf8JsonReader reader = new(_unread.AsSpan(0, _unreadLength), isFinalBlock: false, _state);
            while (!_isBroken && reader.Read())
            {
                Take(ref reader);
            }

            _state = reader.CurrentState;
            int consumed = (int)reader.BytesConsumed;
            _unread.AsSpan(consumed, _unreadLength - consumed).CopyTo(_unread);
            _unreadLength -= consumed;
        }
        catch (JsonException)
        {
            _isBroken = true;
        }
    }

    /// <summary>To be called when the TOC's own entry, the last, is in <c>entries</c>.</summary>
    /// <param name="tocOffset">Where the TOC's own member begins: the end of the last content's.</param>
    /// <returns>Null if the contents cannot be read one by one.</returns>
    public byte[]? Finish(long tocOffset)
    {
        SkipToContent();
        return !_isBroken && _left == 0 && _next == entries.Count - 1 ? _members.Finish(tocOffset) : null;
    }

    private void Take(ref Utf8JsonReader reader)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject when reader.CurrentDepth == EntryDepth:
                _entry = default;
                break;
            case JsonTokenType.EndObject when reader.CurrentDepth == EntryDepth:
                TakeEntry();
                break;
            case JsonTokenType.PropertyName when reader.CurrentDepth == EntryDepth + 1:
                _field = reader.ValueTextEquals("type"u8) ? TocField.Type
                    : reader.ValueTextEquals("size"u8) ? TocField.Size
                    : reader.ValueTextEquals("digest"u8) ? TocField.Digest
                    : reader.ValueTextEquals("offset"u8) ? TocField.Offset
                    : reader.ValueTextEquals("innerOffset"u8) ? TocField.InnerOffset
                    : reader.ValueTextEquals("chunkSize"u8) ? TocField.ChunkSize : TocField.Other;
                break;
            case JsonTokenType.String when reader.CurrentDepth == EntryDepth + 1:
                _entry.IsRegular |= _field == TocField.Type && reader.ValueTextEquals("reg"u8);
                _entry.IsChunk |= _field == TocField.Type && reader.ValueTextEquals("chunk"u8);
                _isBroken |= _field == TocField.Digest && !Digest.TryParse(reader.GetString(), out _entry.Digest);
                break;
            case JsonTokenType.Number when reader.CurrentDepth == EntryDepth + 1:
                TakeNumber(ref reader);
                break;
        }
    }

    private void TakeNumber(ref Utf8JsonReader reader)
    {
        if (!reader.TryGetInt64(out long number) || number < 0)
        {
            _isBroken = true;
            return;
        }

        switch (_field)
        {
            case TocField.Size:
                _entry.Size = number;
                break;
            case TocField.Offset:
                _entry.Offset = number;
                break;
            case TocField.InnerOffset:
                _entry.InnerOffset = number;
                break;
            case TocField.ChunkSize:
                _entry.ChunkSize = number;
                break;
        }
    }

    private void TakeEntry()
    {
        if (_entry.IsRegular && _entry.Size > 0)
        {
            SkipToContent();
            LayerEntry? entry = _left == 0 && _next < entries.Count ? entries[_next] : null;
            if (entry is null || entry.Size != _entry.Size || (_entry.Digest != default && _entry.Digest != entry.Content))
            {
                _isBroken = true;
                return;
            }

            // Landmarks are in tar and TOC but not among the layer's contents.
            _isLandmark = EStargzNames.IsLandmark(entry);
            _next++;
            _left = entry.Size;
        }

        if (_entry.IsRegular || _entry.IsChunk)
        {
            TakePiece();
        }
    }

    private void TakePiece()
    {
        if (_left == 0)
        {
            _isBroken |= _entry.IsChunk;
            return;
        }

        long length = _entry.ChunkSize == 0 ? _left : _entry.ChunkSize;
        if (length > _left)
        {
            _isBroken = true;
            return;
        }

        _left -= length;
        if (!_isLandmark)
        {
            _members.Piece(_entry.Offset, _entry.InnerOffset, length, isLast: _left == 0);
        }
    }

    private void SkipToContent()
    {
        while (_next < entries.Count && !LayerMembers.HasMember(entries[_next]))
        {
            _next++;
        }
    }

    private struct TocEntry
    {
        public bool IsRegular;
        public bool IsChunk;
        public long Size;
        public Digest Digest;
        public long Offset;
        public long InnerOffset;
        public long ChunkSize;
    }
}
