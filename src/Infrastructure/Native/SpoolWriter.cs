namespace Starlight.Infrastructure.Native;

/// <summary>Writes into spooled memory from its beginning, and lets go of what is written. Bytes whose number is not known before they are there need no memory of their own that way.</summary>
/// <param name="place">Long enough for all that comes; stays the caller's.</param>
internal sealed class SpoolWriter(Memory<byte> place) : Stream
{
    private int _length;
    private int _relaxedAt;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => _length;

    public override long Position
    {
        get => _length;
        set => throw new NotSupportedException();
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        buffer.CopyTo(place.Span[_length..]);
        _length += buffer.Length;
        if (_length - _relaxedAt >= SpooledMemory.Stride)
        {
            SpooledMemory.Relax(place);
            _relaxedAt = _length;
        }
    }

    /// <summary>A copy of all that was written.</summary>
    public byte[] ToArray()
    {
        byte[] all = GC.AllocateUninitializedArray<byte>(_length);
        int at = 0;
        foreach (ReadOnlyMemory<byte> part in SpooledMemory.Parts(place[.._length]))
        {
            part.Span.CopyTo(all.AsSpan(at));
            at += part.Length;
        }

        return all;
    }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
