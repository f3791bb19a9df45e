using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.EStargz;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images.EStargz;

public sealed class ConversionCacheTests : IDisposable
{
    private static readonly Digest Source = Digest.Of("source"u8);

    private static readonly CachedConversion Conversion = new(
        new ConvertedLayerInfo(Digest.Of("a"u8), 5, Digest.Of("b"u8), Digest.Of("c"u8), 7, Digest.Of("d"u8), IsUnchanged: false),
        [new LayerEntry { Path = PosixPath.FromRaw("\u00ff"), Kind = FileKind.Regular, Mode = 0x1a4, Size = 3, Content = Digest.Of("abc"u8) }],
        ["registry:5000/a/b"]);

    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Get_WhenStored_GivesItBack()
    {
        ConversionCache cache = Cache();
        await cache.StoreAsync(new ConversionKey(Source), Conversion, CancellationToken.None);

        CachedConversion found = (await cache.TryGetAsync(new ConversionKey(Source), CancellationToken.None)).ShouldNotBeNull();

        found.Layer.ShouldBe(Conversion.Layer);
        LayerBlobs.Text(found.Entries).ShouldBe(LayerBlobs.Text(Conversion.Entries));
        found.Repositories.ShouldBe(Conversion.Repositories);
        (await cache.TryGetAsync(new ConversionKey(Digest.Of("other"u8)), CancellationToken.None)).ShouldBeNull();
        Directory.GetFiles(_scratch["cache/v1"]).Length.ShouldBe(1);
    }

    [Fact]
    public async Task Get_WhenOtherFilesCameFirst_GivesOnlyTheEntries()
    {
        ConversionCache cache = Cache();
        ConversionKey key = new(Source, Digest.Of("files"u8));
        (await cache.TryGetEntriesAsync(Source, CancellationToken.None)).ShouldBeNull();
        await cache.StoreAsync(key, Conversion, CancellationToken.None);

        (await cache.TryGetAsync(key, CancellationToken.None)).ShouldNotBeNull();
        (await cache.TryGetAsync(new ConversionKey(Source), CancellationToken.None)).ShouldBeNull();
        (await cache.TryGetAsync(new ConversionKey(Source, Digest.Of("others"u8)), CancellationToken.None)).ShouldBeNull();
        LayerBlobs.Text((await cache.TryGetEntriesAsync(Source, CancellationToken.None)).ShouldNotBeNull()).ShouldBe(LayerBlobs.Text(Conversion.Entries));
        (await cache.TryGetEntriesAsync(Digest.Of("other"u8), CancellationToken.None)).ShouldBeNull();
    }

    [Fact]
    public async Task Get_WhenFileIsDamaged_GivesNothing()
    {
        ConversionCache cache = Cache();
        await cache.StoreAsync(new ConversionKey(Source), Conversion, CancellationToken.None);
        string path = Directory.GetFiles(_scratch["cache/v1"]).Single();
        byte[] good = await File.ReadAllBytesAsync(path);
        for (int i = 0; i < good.Length; i++)
        {
            byte[] bad = [.. good];
            bad[i] ^= 1;
            await File.WriteAllBytesAsync(path, i % 2 == 0 ? bad : good[..i]);
            (await cache.TryGetAsync(new ConversionKey(Source), CancellationToken.None)).ShouldBeNull($"byte {i}");
        }
    }

    [Fact]
    public async Task Store_WhenDirectoryCannotBeMade_DoesNothing()
    {
        await File.WriteAllTextAsync(_scratch["cache"], "a file is in the way");
        ConversionCache cache = Cache();

        await cache.StoreAsync(new ConversionKey(Source), Conversion, CancellationToken.None);

        (await cache.TryGetAsync(new ConversionKey(Source), CancellationToken.None)).ShouldBeNull();
    }

    [Fact]
    public async Task Store_WhenThereIsNoMoreRoom_RemovesWhatWasNotUsedForLongest()
    {
        await Cache().StoreAsync(new ConversionKey(Source), Conversion, CancellationToken.None);
        string first = Directory.GetFiles(_scratch["cache/v1"]).Single();
        ConversionCache cache = Cache(maxBytes: 3 * new FileInfo(first).Length);
        Digest[] sources = [Source, .. Enumerable.Range(0, 3).Select(i => Digest.Of([(byte)i]))];
        for (int i = 0; i < sources.Length - 1; i++)
        {
            await cache.StoreAsync(new ConversionKey(sources[i]), Conversion, CancellationToken.None);
            File.SetLastWriteTimeUtc(_scratch[$"cache/v1/{sources[i].Hex}"], DateTime.UtcNow - TimeSpan.FromDays(10 - i));
        }

        // The oldest was used just now.
        (await cache.TryGetAsync(new ConversionKey(sources[0]), CancellationToken.None)).ShouldNotBeNull();
        await cache.StoreAsync(new ConversionKey(sources[^1]), Conversion, CancellationToken.None);

        Directory.GetFiles(_scratch["cache/v1"]).Select(Path.GetFileName).ShouldBe([sources[0].Hex, sources[^1].Hex], ignoreOrder: true);
    }

    private ConversionCache Cache(long maxBytes = ConversionCacheOptions.DefaultMaxBytes) => new(new ConversionCacheOptions(_scratch["cache"], maxBytes), NullLogger<ConversionCache>.Instance);
}
