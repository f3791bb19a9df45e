using System.Text;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression;

namespace Starlight.Infrastructure.IntegrationTests.Compression;

public sealed class ZstdStreamTests
{
    private static readonly byte[] Text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 40_000).Select(i => $"line {i * 7919 % 1000}\n")));

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100_000)]
    public async Task Read_WhenInnerGivesFewBytesAtATime_GivesTheWholeContent(int step)
    {
        byte[] raw = step == 1 ? Text[..20_000] : Text;
        byte[] frame = Compress(raw);

        using ZstdDecompressionStream sync = new(new DribblingStream(frame, step));
        MemoryStream synchronous = new();
        sync.CopyTo(synchronous, step);
        await using ZstdDecompressionStream async = new(new DribblingStream(frame, step));
        MemoryStream asynchronous = new();
        await async.CopyToAsync(asynchronous, step);

        synchronous.ToArray().ShouldBe(raw);
        asynchronous.ToArray().ShouldBe(raw);
    }

    [Fact]
    public void Read_WhenThereAreManyAndSkippableFrames_GivesTheirContentsInOrder()
    {
        byte[] skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        byte[] blob = [.. skippable, .. Compress(Text[..5000]), .. skippable, .. Compress([]), .. Compress(Text[5000..]), .. skippable];

        Decompress(blob).ShouldBe(Text);
    }

    [Fact]
    public void Read_WhenCutAnywhere_FailsWithTruncated()
    {
        byte[] frame = Compress(Text[..3000]);

        for (int length = 0; length < frame.Length; length++)
        {
            FailureException failure = Should.Throw<FailureException>(() => Decompress(frame[..length]), $"cut at {length}");
            failure.Error.Code.ShouldBe("Zstd.Truncated");
            failure.Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        }
    }

    [Fact]
    public void Read_WhenGarbageFollows_FailsWithCorrupt() =>
        Should.Throw<FailureException>(() => Decompress([.. Compress(Text), .. "garbage"u8])).Error.Code.ShouldBe("Zstd.Corrupt");

    [Fact]
    public void Read_WhenWindowIsAboveTheLimit_FailsWithResourceExhausted()
    {
        MemoryStream frame = new();
        using (ZstdCompressionStream compression = new(frame, 19, leaveOpen: true))
        {
            compression.Write(Text);
        }

        frame.Position = 0;
        using ZstdDecompressionStream stream = new(frame, maxWindowLog: 15);

        Should.Throw<FailureException>(() => stream.CopyTo(Stream.Null)).Error.Kind.ShouldBe(ErrorKind.ResourceExhausted);
    }

    [Fact]
    public void Dispose_WhenLeaveOpen_KeepsInnerUsable()
    {
        MemoryStream inner = new(Compress(Text));
        new ZstdDecompressionStream(inner, leaveOpen: true).Dispose();
        inner.CanRead.ShouldBeTrue();
        new ZstdDecompressionStream(inner).Dispose();
        inner.CanRead.ShouldBeFalse();
    }

    [Fact]
    public async Task Flush_WhenFrameIsOpen_MakesWhatWasWrittenReadable()
    {
        MemoryStream frame = new();
        await using ZstdCompressionStream compression = new(frame, 3);
        await compression.WriteAsync(Text.AsMemory(0, 1000));
        await compression.FlushAsync();

        using ZstdDecompressionStream stream = new(new MemoryStream(frame.ToArray()));
        byte[] back = new byte[1000];
        stream.ReadExactly(back);

        back.ShouldBe(Text[..1000]);
    }

    [Fact]
    public void Write_WhenContentSizeIsWrong_Fails() => Should.Throw<InvalidOperationException>(() =>
    {
        using ZstdCompressionStream compression = new(new MemoryStream(), 3, contentSize: 10);
        compression.Write(Text.AsSpan(0, 9));
    });

    private static byte[] Compress(byte[] raw)
    {
        MemoryStream frame = new();
        using (ZstdCompressionStream compression = new(frame, 3))
        {
            foreach (byte[] part in raw.Chunk(4321))
            {
                compression.Write(part);
            }
        }

        return frame.ToArray();
    }

    private static byte[] Decompress(byte[] blob)
    {
        using ZstdDecompressionStream stream = new(new MemoryStream(blob));
        MemoryStream raw = new();
        stream.CopyTo(raw);
        return raw.ToArray();
    }

    /// <summary>Gives at most so many bytes per read, as sockets do.</summary>
    private sealed class DribblingStream(byte[] bytes, int step) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, step));

        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(buffer.Length, step)]);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, step)], cancellationToken);
    }
}
