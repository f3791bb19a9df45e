using System.Buffers;
using System.Globalization;
using Starlight.Domain.SharedKernel;
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
        Resident(directory).ShouldBe(64 << 20);
        SpooledMemory.Relax(owner.Memory);
        Resident(directory).ShouldBe(0);
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
        owner.Dispose();
        File.ReadAllText("/proc/self/maps").ShouldNotContain(directory.Path);
    }

    [Fact]
    public void Rent_WhenTheDiskIsFull_SaysSoInsteadOfFailingLater()
    {
        using ScratchDirectory directory = new();
        using Mounted disk = Mounted.On(directory["disk"], (Type: "tmpfs", Source: "none", Options: ["size=20m"]));
        Error error = Should.Throw<FailureException>(() => SpooledMemory.Rent(32 << 20, disk.Target)).Error;

        error.Code.ShouldBe("Spool.NoSpace");
        error.Kind.ShouldBe(ErrorKind.ResourceExhausted);
        error.Message.ShouldContain(disk.Target);
        Directory.EnumerateFileSystemEntries(disk.Target).ShouldBeEmpty();
        SpooledMemory.Rent(SpooledMemory.Threshold, disk.Target).Dispose();
    }

    /// <summary>Garbage collection reads images to find out what may go: it must not need room to make room.</summary>
    [Fact]
    public void RentAnyway_WhenTheDiskIsFull_TakesMemory()
    {
        using ScratchDirectory directory = new();
        using Mounted disk = Mounted.On(directory["disk"], (Type: "tmpfs", Source: "none", Options: ["size=1m"]));
        using IMemoryOwner<byte> owner = new Spool(disk.Target).RentAnyway(SpooledMemory.Threshold);

        owner.Memory.Length.ShouldBe(SpooledMemory.Threshold);
        owner.Memory.Span.ContainsAnyExcept((byte)0).ShouldBeFalse();
        Should.Throw<FailureException>(() => new Spool("/nowhere").RentAnyway(SpooledMemory.Threshold)).Error.Code.ShouldBe("Spool.Unusable");
    }

    [Fact]
    public void Rent_WhenTheDirectoryIsMissing_NamesIt()
    {
        Error error = Should.Throw<FailureException>(() => SpooledMemory.Rent(SpooledMemory.Threshold, "/nowhere")).Error;

        error.Code.ShouldBe("Spool.Unusable");
        error.Message.ShouldContain("/nowhere");
    }

    /// <summary>Bytes of the mapped file that this process holds (proc(5), smaps).</summary>
    private static long Resident(ScratchDirectory directory) => File.ReadLines("/proc/self/smaps")
        .SkipWhile(l => !l.Contains(directory.Path, StringComparison.Ordinal))
        .Where(l => l.StartsWith("Rss:", StringComparison.Ordinal))
        .Select(l => long.Parse(l.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10)
        .First();
}
