using System.Text;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression;

namespace Starlight.Infrastructure.IntegrationTests.Compression;

public sealed class ZstdTests
{
    private static readonly byte[] Text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 20_000).Select(i => $"line {i * 7919 % 1000}\n")));

    [Fact]
    public void EnsureAvailable_WhenLibraryIsMissing_NamesThePackages()
    {
        FailureException failure = Should.Throw<FailureException>(() => ZstdLibrary.Require("libzstd-that-is-not-there.so.1"));

        failure.Error.Code.ShouldBe("Zstd.LibraryMissing");
        failure.Error.Kind.ShouldBe(ErrorKind.Unsupported);
        failure.Error.Message.ShouldContain("libzstd1 (Debian/Ubuntu)");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100_000)]
    [InlineData(3_000_000)]
    public void Compress_WhenDecompressed_GivesTheSameBytes(int length)
    {
        byte[] raw = Sample(length);
        using ZstdCompressor compressor = new(3);
        using ZstdDecompressor decompressor = new();

        byte[] frame = compressor.Compress(raw);

        byte[] back = new byte[length];
        decompressor.Decompress(frame, back);
        back.ShouldBe(raw);
        ZstdDecompressor.ReadContentSize(frame).ShouldBe(length);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(9)]
    [InlineData(19)]
    public void Compress_WhenContextIsReusedOrNew_GivesTheSameFrame(int level)
    {
        using ZstdCompressor reused = new(level);
        byte[] first = reused.Compress(Text);
        reused.Compress(Sample(50_000));
        byte[] again = reused.Compress(Text);
        using ZstdCompressor another = new(level);

        again.ShouldBe(first);
        another.Compress(Text).ShouldBe(first);
    }

    [Fact]
    public void Decompress_WhenAnyByteIsChanged_FailsWithDataCorrupt()
    {
        byte[] raw = Text[..2000];
        using ZstdCompressor compressor = new(3);
        using ZstdDecompressor decompressor = new();
        byte[] frame = compressor.Compress(raw);
        byte[] back = new byte[raw.Length];

        for (int i = 0; i < frame.Length; i++)
        {
            byte[] damaged = (byte[])frame.Clone();
            damaged[i] ^= 0x10;
            try
            {
                decompressor.Decompress(damaged, back);
            }
            catch (FailureException e)
            {
                e.Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
                continue;
            }

            back.ShouldBe(raw, $"byte {i} was changed and the result differs without an error");
        }
    }

    [Theory]
    [InlineData(1999)]
    [InlineData(2001)]
    public void Decompress_WhenAnnouncedSizeIsWrong_FailsWithDataCorrupt(int announced)
    {
        using ZstdCompressor compressor = new(3);
        using ZstdDecompressor decompressor = new();
        byte[] frame = compressor.Compress(Text.AsSpan(0, 2000));

        Should.Throw<FailureException>(() => decompressor.Decompress(frame, new byte[announced])).Error.Code.ShouldBe("Zstd.Corrupt");
    }

    [Fact]
    public void Decompress_WhenSomethingFollowsTheFrame_FailsWithDataCorrupt()
    {
        using ZstdCompressor compressor = new(3);
        using ZstdDecompressor decompressor = new();
        byte[] two = [.. compressor.Compress(Text.AsSpan(0, 1000)), .. compressor.Compress(Text.AsSpan(0, 1000))];

        Should.Throw<FailureException>(() => decompressor.Decompress(two, new byte[2000])).Error.Code.ShouldBe("Zstd.Corrupt");
    }

    private static byte[] Sample(int length)
    {
        byte[] raw = new byte[length];
        new Random(length).NextBytes(raw);
        for (int i = 0; i < length; i += 3)
        {
            raw[i] = (byte)'x';
        }

        return raw;
    }
}
