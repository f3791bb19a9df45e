using System.Buffers;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

public sealed class ImageUnitTests
{
    private static readonly Spool Spool = new((string?)null);

    [Theory]
    [InlineData(0, 0)]
    [InlineData(5_000, 0)]
    [InlineData(5_000, ImageUnit.DefaultLevel)]
    [InlineData(SpooledMemory.Threshold + 1, 1)]
    [InlineData((3 * SpooledMemory.Stride) - 100, 3)]
    public void ReadFilesystem_WhateverItsLength_GivesWhatWasEncoded(int length, int level)
    {
        BundleImage image = Image(length);

        using IMemoryOwner<byte> filesystem = ImageUnit.ReadFilesystem(ImageUnit.Encode(image, level), image.FilesystemDigest, Spool);

        filesystem.Memory.Span.SequenceEqual(image.FilesystemImage.Span).ShouldBeTrue();
    }

    [Fact]
    public void Encode_OfALargeImage_GivesTheSameWhereverItIs()
    {
        BundleImage image = Image(45 << 20);
        using IMemoryOwner<byte> spooled = Spool.Rent(image.FilesystemImage.Length);
        image.FilesystemImage.CopyTo(spooled.Memory);

        byte[] unit = ImageUnit.Encode(image with { FilesystemImage = spooled.Memory });

        ImageUnit.Encode(image).AsSpan().SequenceEqual(unit).ShouldBeTrue();
        unit.Length.ShouldBeLessThan(image.FilesystemImage.Length);
        ImageUnit.Decode(unit).FilesystemImage.Span.SequenceEqual(image.FilesystemImage.Span).ShouldBeTrue();
    }

    [Fact]
    public void ReadFilesystem_WhenItsDigestIsAnother_Fails()
    {
        byte[] unit = ImageUnit.Encode(Image(5_000));

        Should.Throw<FormatException>(() => ImageUnit.ReadFilesystem(unit, Digest.Of("another"u8), Spool)).Message.ShouldContain("filesystem image");
    }

    [Theory]
    [InlineData(5_000)]
    [InlineData(SpooledMemory.Threshold + 5_000)]
    public void ReadFilesystem_WhenUnitIsCutOrContinued_Fails(int length)
    {
        BundleImage image = Image(length);
        byte[] unit = ImageUnit.Encode(image, level: 1);

        foreach (byte[] damaged in (byte[][])[unit[..^1], unit[..(unit.Length / 2)], [.. unit, 0]])
        {
            Exception failure = Should.Throw<Exception>(() => ImageUnit.ReadFilesystem(damaged, image.FilesystemDigest, Spool));
            (failure is FormatException or FailureException { Error.Kind: ErrorKind.DataCorrupt }).ShouldBeTrue(failure.ToString());
        }
    }

    [Theory]
    [InlineData(5_000)]
    [InlineData(SpooledMemory.Threshold + 5_000)]
    public void ReadFilesystem_WhenALengthIsAnother_Fails(int length)
    {
        BundleImage image = Image(length);
        byte[] unit = ImageUnit.Encode(image, level: 1);
        int raw = HeaderUnit.LengthOf(unit) + 8;

        foreach (int difference in (int[])[-1, 1])
        {
            byte[] damaged = [.. unit];
            BitConverter.TryWriteBytes(damaged.AsSpan(raw), BitConverter.ToInt32(unit, raw) + difference).ShouldBeTrue();
            Exception failure = Should.Throw<Exception>(() => ImageUnit.ReadFilesystem(damaged, image.FilesystemDigest, Spool));
            (failure is FormatException or FailureException { Error.Kind: ErrorKind.DataCorrupt }).ShouldBeTrue(failure.ToString());
        }
    }

    /// <summary>Half noise and half not, as digests and names are.</summary>
    private static BundleImage Image(int length)
    {
        byte[] filesystem = new byte[length];
        new Random(length).NextBytes(filesystem);
        for (int i = 0; i < length; i += 64)
        {
            filesystem.AsSpan(i, Math.Min(32, length - i)).Clear();
        }

        return new BundleImage { Manifest = "manifest"u8.ToArray(), ManifestMediaType = "type", Config = "config"u8.ToArray(), FilesystemImage = filesystem, FilesystemDigest = Digest.Of(filesystem) };
    }
}
