using System.Text;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Bundles;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Bundles;

/// <summary>A worker that has one image and wants the next version of it.</summary>
internal sealed class PatchSample : IBundleBases, IDisposable
{
    private readonly ScratchDirectory _objects = new();
    private readonly SampleBundle _old = new();
    private readonly SampleBundle _now = new();
    private readonly ContentNames[] _names;

    /// <param name="files">Name, old content (null: there was none), new content.</param>
    public PatchSample(params (string Name, byte[]? Old, byte[] Now)[] files)
    {
        (string Name, byte[] Content)[] old = [.. files.Where(f => f.Old is not null).Select(f => (f.Name, f.Old!))];
        _old.Add("registry.test/app:1", [.. old.Select(f => f.Content)], hot: 0);
        _now.Add("registry.test/app:2", [.. files.Select(f => f.Now)], hot: 0);
        _names = [Names(old.Select(f => f.Name)), Names(files.Select(f => f.Name))];
        foreach ((_, byte[] content) in old)
        {
            File.WriteAllBytes(PathOf(content), content);
        }
    }

    public SampleBundle Now => _now;

    /// <summary>False: as if the old image were not on the worker any more.</summary>
    public bool HasImage { get; set; } = true;

    public DeltaPlan Plan(bool patches)
    {
        IReadOnlyList<ContentRef> have = SampleBundle.ReadContents(_old.Images[0].FilesystemImage);
        DeltaPlan plan = _now.Plan(have);
        return patches ? PatchPlanner.AddPatches(plan, [_names[1]], [new KnownImage(_old.Images[0].FilesystemDigest, have, _names[0])], _ => true) : plan;
    }

    /// <param name="patchedUnit">The filesystem image is told as a patch too.</param>
    public async Task<byte[]> WriteAsync(int level, bool patches = true, bool patchedUnit = false)
    {
        byte[] encoded = ImageUnit.Encode(_now.Images[0], level);
        ImageUnits unit = ImageUnit.Split(encoded);
        if (patchedUnit)
        {
            unit = ImageUnit.Rename(ImageUnit.EncodePatched(encoded, ImageUnit.Encode(_old.Images[0], level), level).ShouldNotBeNull(), "registry.test/app:2", null, null, level);
        }

        MemoryStream output = new();
        await BundleWriter.WriteAsync(output, [unit], Plan(patches), (content, token) => (_now.Contents.ContainsKey(content.Digest) ? _now : _old).Open(content, token), level, _objects.Path);
        return output.ToArray();
    }

    public async Task<(CollectingSink Sink, BundleReader Reader)> ReadAsync(byte[] bundle)
    {
        BundleReader reader = await BundleReader.OpenAsync(new MemoryStream(bundle), this, CancellationToken.None);
        reader.BindContents(SampleBundle.ReadContents);
        CollectingSink sink = new();
        await reader.ReadContentsAsync(sink, CancellationToken.None);
        return (sink, reader);
    }

    public BundleBase? FindImage(Digest filesystem) =>
        HasImage && filesystem == _old.Images[0].FilesystemDigest ? new BundleBase(_old.Images[0].FilesystemImage, SampleBundle.ReadContents(_old.Images[0].FilesystemImage)) : null;

    public SafeFileHandle? OpenContent(Digest content) => File.Exists(_objects[content.Hex]) ? File.OpenHandle(_objects[content.Hex]) : null;

    /// <summary>Where the worker keeps an old content; a test may damage it.</summary>
    public string PathOf(byte[] content) => _objects[Digest.Of(content).Hex];

    /// <summary>Files that are left over where old contents are spooled.</summary>
    public IEnumerable<string> Leftovers => Directory.EnumerateFiles(_objects.Path, "starlight-*");

    public void Dispose() => _objects.Dispose();

    /// <summary>Bytes with some structure and nothing that repeats exactly for long.</summary>
    public static byte[] Code(Random random, int length)
    {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++)
        {
            bytes[i] = (byte)(random.Next(4) == 0 ? random.Next(256) : "\x48\x89\x8b\x0f\xe8\xc3\x5d\x55"[random.Next(8)]);
        }

        return bytes;
    }

    public static byte[] Noise(Random random, int length)
    {
        byte[] bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>Some insertions, removals, moves and changed bytes.</summary>
    public static byte[] Edit(Random random, byte[] old)
    {
        List<byte> bytes = [.. old];
        for (int i = random.Next(12); i > 0 && bytes.Count > 1; i--)
        {
            int at = random.Next(bytes.Count);
            int count = Math.Min(random.Next(400), bytes.Count - at);
            switch (random.Next(4))
            {
                case 0:
                    bytes.InsertRange(at, Code(random, count));
                    break;
                case 1:
                    bytes.RemoveRange(at, Math.Min(count, bytes.Count - 1));
                    break;
                case 2:
                    List<byte> moved = bytes.GetRange(at, count);
                    bytes.InsertRange(random.Next(bytes.Count), moved);
                    break;
                default:
                    for (int k = at; k < at + count; k += 7)
                    {
                        bytes[k] += (byte)random.Next(256);
                    }

                    break;
            }
        }

        return [.. bytes];
    }

    private static ContentNames Names(IEnumerable<string> names) => new([.. names.Select(n => PathHash.Root.File(Encoding.UTF8.GetBytes(n)))]);
}
