using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression;

namespace Starlight.Infrastructure.Contents;

/// <summary>Reads a large stored content and holds its end back until length and checksum are known to be right.</summary>
internal sealed class StoredContentStream(ContentStore store, ContentRef content, FileStream file) : Stream
{
    private readonly ZstdDecompressionStream _frames = new(file);
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => content.Size;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        try
        {
            return Checked(_frames.Read(buffer), buffer.Length);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.DataCorrupt)
        {
            throw store.Discard(content.Digest, e);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return Checked(await _frames.ReadAsync(buffer, cancellationToken), buffer.Length);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.DataCorrupt)
        {
            throw store.Discard(content.Digest, e);
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _frames.Dispose();
        }

        base.Dispose(disposing);
    }

    private int Checked(int read, int asked)
    {
        _position += read;
        bool wrongLength = _position > content.Size || (read == 0 && asked > 0 && _position != content.Size);
        return wrongLength ? throw new FailureException(new Error("Contents.Corrupt", $"the stored content {content.Digest} has another length", ErrorKind.DataCorrupt)) : read;
    }
}
