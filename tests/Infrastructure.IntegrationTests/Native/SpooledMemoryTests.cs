using System.Buffers;
using Starlight.Infrastructure.Native;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Native;

public sealed class SpooledMemoryTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(SpooledMemory.Threshold)]
    [InlineData(SpooledMemory.Threshold + (3 * SpooledMemory.Stride) + 77)]
    public void Rent_OfAnyLength_IsZeroedAndKeepsWhatIsWritten(int length)
    {
        using ScratchDirectory directory = new();
        using IMemoryOwner<byte> owner = SpooledMemory.Rent(length, directory.Path);
        owner.Memory.Length.ShouldBe(length);
        owner.Memory.Span.ContainsAnyExcept((byte)0).ShouldBeFalse();
        byte[] expected = new byte[length];
        new Random(length).NextBytes(expected);
        expected.CopyTo(owner.Memory);
        SpooledMemory.Relax(owner.Memory);
        owner.Memory.Span.SequenceEqual(expected).ShouldBeTrue();
        SpooledMemory.Parts(owner.Memory).SelectMany(p => p.ToArray()).SequenceEqual(expected).ShouldBeTrue();
        Directory.EnumerateFileSystemEntries(directory.Path).ShouldBeEmpty();
    }

    [Fact]
    public void Relax_GivesResidentPagesBack()
    {
        using ScratchDirectory directory = new();
        using IMemoryOwner<byte> owner = SpooledMemory.Rent(64 << 20, directory.Path);
        owner.Memory.Span.Fill(7);
        long before = ResidentFilePages();
        SpooledMemory.Relax(owner.Memory);
        (before - ResidentFilePages()).ShouldBeGreaterThan(48 << 20);
        owner.Memory.Span.ContainsAnyExcept((byte)7).ShouldBeFalse();
    }

    [Fact]
    public void Span_WhenDisposed_IsRefused()
    {
        using ScratchDirectory directory = new();
        IMemoryOwner<byte> owner = SpooledMemory.Rent(SpooledMemory.Threshold, directory.Path);
        Memory<byte> memory = owner.Memory;
        owner.Dispose();
        Should.Throw<ObjectDisposedException>(() => memory.Span.Length);
        SpooledMemory.Relax(memory);
    }

    private static long ResidentFilePages() =>
        long.Parse(File.ReadLines("/proc/self/status").First(l => l.StartsWith("RssFile:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture) << 10;
}
