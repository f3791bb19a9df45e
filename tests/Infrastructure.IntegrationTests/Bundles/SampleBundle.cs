using System.Buffers.Binary;
using System.Text;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

/// <summary>
/// Images made up in a test. Their "filesystem images" are plain lists of digests and sizes: the bundle format looks at them only through the function that reads their
/// canonical content list.
/// </summary>
internal sealed class SampleBundle
{
    private readonly Dictionary<Digest, byte[]> _contents = [];
    private readonly List<BundleImage> _images = [];
    private readonly List<OrderedImage> _ordered = [];

    public IReadOnlyList<BundleImage> Images => _images;

    public IReadOnlyDictionary<Digest, byte[]> Contents => _contents;

    /// <summary>Three small images' worth of everything: text that packs well, noise that does not, a content of several blocks.</summary>
    public static SampleBundle Mixed(int seed = 1, int files = 200)
    {
        Random random = new(seed);
        SampleBundle bundle = new();
        byte[] Content(int i) => (i % 10) switch
        {
            0 => Noise(random, random.Next(1, 30_000)),
            _ => Text(random, random.Next(1, 9_000)),
        };
        byte[][] shared = [.. Enumerable.Range(0, files / 4).Select(Content)];
        for (int image = 0; image < 3; image++)
        {
            byte[][] own = [.. Enumerable.Range(0, files).Select(Content)];
            bundle.Add($"registry.test/app{image}:1", [.. shared, .. own, Text(random, 2_500_000 + image), Noise(random, 1_300_000)], hot: files / 5);
        }

        return bundle;
    }

    public static SampleBundle Small()
    {
        SampleBundle bundle = new();
        bundle.Add("registry.test/small:1", [[.. "#!/bin/sh\nexec /app\n"u8], [.. Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("starlight ", 40)))], [0], [.. Enumerable.Range(0, 200).Select(i => (byte)(i * i * 31))]], hot: 2);
        return bundle;
    }

    public void Add(string reference, byte[][] contents, int hot)
    {
        List<ContentRef> canonical = [];
        foreach (byte[] content in contents)
        {
            Digest digest = Digest.Of(content);
            _contents[digest] = content;
            if (!canonical.Exists(c => c.Digest == digest))
            {
                canonical.Add(new ContentRef(digest, content.Length));
            }
        }

        byte[] filesystem = new byte[canonical.Count * 40];
        for (int i = 0; i < canonical.Count; i++)
        {
            canonical[i].Digest.CopyTo(filesystem.AsSpan(i * 40));
            BinaryPrimitives.WriteInt64LittleEndian(filesystem.AsSpan((i * 40) + 32), canonical[i].Size);
        }

        _images.Add(new BundleImage
        {
            Reference = reference,
            IndexMediaType = _images.Count == 0 ? "application/vnd.oci.image.index.v1+json" : null,
            Index = _images.Count == 0 ? Encoding.UTF8.GetBytes("{\"index\": \"" + reference + "\"}") : default(ReadOnlyMemory<byte>?),
            ManifestMediaType = "application/vnd.oci.image.manifest.v1+json",
            Manifest = Encoding.UTF8.GetBytes("{\"manifest\": \"" + reference + "\"}"),
            Config = Encoding.UTF8.GetBytes("{\"config\": \"" + reference + "\"}"),
            FilesystemImage = filesystem,
            FilesystemDigest = Digest.Of(filesystem),
        });
        _ordered.Add(new OrderedImage(canonical, [.. Enumerable.Range(0, canonical.Count).Reverse().Take(hot)], hot));
    }

    public DeltaPlan Plan(params IReadOnlyList<ContentRef>[] have) => DeltaPlanner.Plan(_ordered, have);

    public IReadOnlyList<ImageUnits> Units(int level) => [.. _images.Select(i => ImageUnit.Split(ImageUnit.Encode(i, level)))];

    public ValueTask<Stream> Open(ContentRef content, CancellationToken cancellationToken) => new(new MemoryStream(_contents[content.Digest], writable: false));

    public async Task<byte[]> WriteAsync(int level, params IReadOnlyList<ContentRef>[] have)
    {
        MemoryStream output = new();
        await BundleWriter.WriteAsync(output, Units(level), Plan(have), Open, level);
        return output.ToArray();
    }

    public static IReadOnlyList<ContentRef> ReadContents(ReadOnlyMemory<byte> filesystem) =>
        [.. Enumerable.Range(0, filesystem.Length / 40).Select(i => new ContentRef(
            new Digest(filesystem.Span.Slice(i * 40, 32)), BinaryPrimitives.ReadInt64LittleEndian(filesystem.Span[((i * 40) + 32)..])))];

    private static byte[] Noise(Random random, int length)
    {
        byte[] bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    private static byte[] Text(Random random, int length)
    {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++)
        {
            bytes[i] = (byte)"aaeeiioulnrst \n"[random.Next(15)];
        }

        return bytes;
    }
}

/// <summary>Keeps what it is given and holds it to the contract: digests right, each content once, calls in order.</summary>
internal sealed class CollectingSink : IBundleContentSink
{
    private ContentRef? _open;
    private MemoryStream _bytes = new();

    public List<ContentRef> Received { get; } = [];

    public int Pieces { get; private set; }

    public ValueTask PutAsync(ContentRef content, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        _open.ShouldBeNull();
        bytes.Length.ShouldBe((int)content.Size);
        Keep(content, bytes.Span);
        return ValueTask.CompletedTask;
    }

    public ValueTask BeginAsync(ContentRef content, CancellationToken cancellationToken)
    {
        _open.ShouldBeNull();
        _open = content;
        _bytes = new MemoryStream();
        return ValueTask.CompletedTask;
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        _open.ShouldNotBeNull();
        _bytes.Write(bytes.Span);
        Pieces++;
        return ValueTask.CompletedTask;
    }

    public ValueTask CompleteAsync(CancellationToken cancellationToken)
    {
        ContentRef content = _open.ShouldNotBeNull();
        _open = null;
        Keep(content, _bytes.ToArray());
        return ValueTask.CompletedTask;
    }

    private void Keep(ContentRef content, ReadOnlySpan<byte> bytes)
    {
        Digest.Of(bytes).ShouldBe(content.Digest);
        Received.ShouldNotContain(content);
        Received.Add(content);
    }
}
