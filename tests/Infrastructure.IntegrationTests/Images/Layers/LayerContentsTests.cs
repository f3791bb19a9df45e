using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Images.EStargz;
using Starlight.Infrastructure.Images.Layers;
using Starlight.Infrastructure.Images.Tar;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images.Layers;

public sealed class LayerContentsTests : IDisposable
{
    private static readonly byte[] One = Noise(1, 300);
    private static readonly byte[] Chunked = Noise(2, 100_000);
    private static readonly byte[] Twice = Noise(3, 5000);
    private static readonly byte[] Last = [0x0f];

    private readonly ScratchDirectory _scratch = new();
    private readonly LayerContents _contents = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Read_OfEveryContent_GivesItsBytes()
    {
        (byte[] blob, IndexedLayer layer) = await LayerAsync();
        HashSet<Digest> wanted = [.. new[] { One, Chunked, Twice, Last }.Select(b => Digest.Of(b)), Digest.Of([1, 2, 3])];

        IReadOnlyList<LocatedContent> located = _contents.Locate(new LayerIndex(layer.Index, layer.Members), wanted);
        Sink sink = new();
        await _contents.ReadAsync(Range(blob, []), located, sink, CancellationToken.None);

        layer.Members.IsEmpty.ShouldBeFalse();
        located.Select(l => l.Content.Digest).Order().ShouldBe(new[] { One, Chunked, Twice, Last }.Select(b => Digest.Of(b)).Order());
        located.Single(l => l.Content.Size == Chunked.Length).Pieces.Count.ShouldBe(25, "chunks of 4,000 bytes");
        sink.Contents.Select(c => Digest.Of(c)).Order().ShouldBe(located.Select(l => l.Content.Digest).Order());
    }

    [Fact]
    public async Task Read_OfNeighbours_TakesOneRangeAndLeavesOutTheRest()
    {
        (byte[] blob, IndexedLayer layer) = await LayerAsync();
        List<(long Offset, long Length)> ranges = [];

        await _contents.ReadAsync(Range(blob, ranges), _contents.Locate(new LayerIndex(layer.Index, layer.Members), new HashSet<Digest> { Digest.Of(One), Digest.Of(Twice) }), new Sink(), CancellationToken.None);

        ranges.Count.ShouldBe(1, "what lies between is shorter than the gap that is read over");
        ranges[0].Length.ShouldBeLessThan(blob.Length - 500);
    }

    [Fact]
    public async Task Read_WhenTheBlobIsAnotherOne_FailsAsCorrupt()
    {
        (byte[] blob, IndexedLayer layer) = await LayerAsync();
        byte[] other = [.. blob];
        Array.Reverse(other);

        FailureException failure = await Should.ThrowAsync<FailureException>(
            () => _contents.ReadAsync(Range(other, []), _contents.Locate(new LayerIndex(layer.Index, layer.Members), new HashSet<Digest> { Digest.Of(Chunked) }), new Sink(), CancellationToken.None));

        failure.Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
    }

    [Fact]
    public async Task Locate_WhenMembersAreDamaged_FailsAsCorrupt()
    {
        (_, IndexedLayer layer) = await LayerAsync();
        for (int i = 0; i < layer.Members.Length; i++)
        {
            byte[] members = layer.Members.ToArray();
            members[i] ^= 0x10;
            Should.Throw<FailureException>(() => _contents.Locate(new LayerIndex(layer.Index, members), new HashSet<Digest>())).Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        }
    }

    [Fact]
    public async Task Locate_InALayerThatIsNotEStargz_KnowsNoPieces()
    {
        byte[] tar = new TarBuilder().File("a", "a").File("b", "a").Build();
        LayerScan scan = await new LayerScanner().ScanAsync(new MemoryStream(tar), "", null, CancellationToken.None);
        IndexedLayer layer = new(Digest.Empty, scan.DiffId, tar.Length, scan.UncompressedSize, scan.IsEStargz, LayerIndexCodec.Encode(scan.Entries)) { Members = scan.Members };

        LocatedContent only = _contents.Locate(new LayerIndex(layer.Index, layer.Members), new HashSet<Digest> { Digest.Of("a"u8) }).ShouldHaveSingleItem();

        only.Pieces.ShouldBeEmpty();
        only.Content.Size.ShouldBe(1);
    }

    private static OpenBlobRange Range(byte[] blob, List<(long, long)> ranges) => (offset, length, _) =>
    {
        ranges.Add((offset, length));
        return Task.FromResult<Stream>(new MemoryStream(blob, (int)offset, (int)length));
    };

    private static byte[] Noise(int seed, int size)
    {
        byte[] bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>With a landmark, an empty file, a directory, a hard link, a content twice, a chunked one and a file that looks like a landmark's content.</summary>
    private async Task<(byte[] Blob, IndexedLayer Layer)> LayerAsync()
    {
        byte[] tar = new TarBuilder().File("one", One).File("empty", "").Directory("d").File("d/chunked", Chunked).File("d/twice", Twice).File("again", Twice).File("last", Last).Build();
        using BlobFile file = new(_scratch.Path);
        using SemaphoreSlim processors = new(1);
        await using (EStargzWriter writer = new(file, processors, chunkSize: 4000))
        {
            await writer.WriteLandmarkAsync(hasPrioritised: false, CancellationToken.None);
            using TarReader reader = new(new MemoryStream(tar));
            while (await reader.NextAsync(CancellationToken.None) is { } entry)
            {
                await writer.WriteEntryAsync(entry, reader.ReadContentAsync, CancellationToken.None);
            }

            await writer.FinishAsync(CancellationToken.None);
        }

        using MemoryStream copy = new();
        await using (Stream blob = file.Open(0, file.Length))
        {
            await blob.CopyToAsync(copy);
        }

        byte[] bytes = copy.ToArray();
        LayerScan scan = await new LayerScanner().ScanAsync(new MemoryStream(bytes), "", null, CancellationToken.None);
        return (bytes, new IndexedLayer(Digest.Of(bytes), scan.DiffId, bytes.Length, scan.UncompressedSize, scan.IsEStargz, LayerIndexCodec.Encode(scan.Entries)) { Members = scan.Members });
    }

    private sealed class Sink : IContentSink
    {
        private readonly MemoryStream _current = new();
        private long _size;

        public List<byte[]> Contents { get; } = [];

        public ValueTask BeginAsync(long size, CancellationToken cancellationToken)
        {
            (_size, _current.Position) = (size, 0);
            _current.SetLength(0);
            return ValueTask.CompletedTask;
        }

        public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            _current.Write(bytes.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask CompleteAsync(Digest digest, CancellationToken cancellationToken)
        {
            _current.Length.ShouldBe(_size);
            if (Digest.Of(_current.ToArray()) != digest)
            {
                throw new FailureException(new Error("Test.Mismatch", "another digest", ErrorKind.DataCorrupt));
            }

            Contents.Add(_current.ToArray());
            return ValueTask.CompletedTask;
        }
    }
}
