using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images;

/// <summary>A tar of large files that exists only while it is read. Contents repeat a pattern that compresses a little.</summary>
internal sealed class BigTarStream(long files, long fileSize) : Stream
{
    private readonly byte[] _pattern = MakePattern();
    private byte[] _header = [];
    private int _headerLeft;
    private long _file = -1;
    private long _contentLeft;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(Span<byte> buffer)
    {
        if (_headerLeft == 0 && _contentLeft == 0)
        {
            if (_file > files - 1)
            {
                return 0;
            }

            _file++;
            _header = _file == files
                ? new byte[1024]
                : new TarBuilder().Header(new TarHeaderFields($"file{_file}") { Size = fileSize }).BuildWithoutEnd();
            _headerLeft = _header.Length;
            _contentLeft = _file == files ? 0 : fileSize;
        }

        if (_headerLeft > 0)
        {
            int head = Math.Min(buffer.Length, _headerLeft);
            _header.AsSpan(_header.Length - _headerLeft, head).CopyTo(buffer);
            _headerLeft -= head;
            return head;
        }

        int at = (int)(_contentLeft % _pattern.Length);
        int count = (int)Math.Min(Math.Min(buffer.Length, _contentLeft), _pattern.Length - at);
        _pattern.AsSpan(at, count).CopyTo(buffer);
        _contentLeft -= count;
        return count;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.FromResult(Read(buffer.Span));

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private static byte[] MakePattern()
    {
        byte[] pattern = new byte[(1 << 20) + 17];
        new Random(1).NextBytes(pattern);
        for (int i = 0; i < pattern.Length; i++)
        {
            pattern[i] &= 0x3f;
        }

        return pattern;
    }
}
