namespace Starlight.Infrastructure.Compression;

/// <summary>Bytes whose number is not known before they are there. Unlike a MemoryStream it never holds them twice while it grows.</summary>
internal sealed class ChunkedStream : Stream
{
    private const int ChunkLength = 1 << 20;

    private readonly List<byte[]> _chunks = [];
    private long _length;

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
        while (buffer.Length > 0)
        {
            int at = (int)(_length % ChunkLength);
            if (at == 0)
            {
                _chunks.Add(GC.AllocateUninitializedArray<byte>(ChunkLength));
            }

            int count = Math.Min(buffer.Length, ChunkLength - at);
            buffer[..count].CopyTo(_chunks[^1].AsSpan(at));
            buffer = buffer[count..];
            _length += count;
        }
    }

    /// <summary>All that was written.</summary>
    public byte[] ToArray()
    {
        byte[] all = GC.AllocateUninitializedArray<byte>(checked((int)_length));
        for (int i = 0; i < _chunks.Count; i++)
        {
            _chunks[i].AsSpan(0, Math.Min(ChunkLength, all.Length - (i * ChunkLength))).CopyTo(all.AsSpan(i * ChunkLength));
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
