using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.Tracing;
using Starlight.Infrastructure.WorkerImages;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>Two images with a content in common, of which one's filesystem image is damaged on disk: the other is none the worse for it.</summary>
public sealed class DamagedImageTests : IAsyncDisposable
{
    private static readonly Digest Damaged = Digest.Of("damaged"u8);
    private static readonly Digest Sound = Digest.Of("sound"u8);

    private readonly ScratchDirectory _scratch = new();
    private readonly WorkerLayout _layout;
    private readonly ObjectStore _objects;
    private ImageLibrary? _library;
    private ContainerTraces? _traces;

    public DamagedImageTests()
    {
        _layout = new WorkerLayout(_scratch["worker"]);
        Directory.CreateDirectory(_layout.Root);
        _objects = new ObjectStore(_layout.ObjectsDirectory);
        using ImageRecords records = new(_layout.ImagesDatabase);
        Add(records, Damaged, 1, "of the damaged");
        Add(records, Sound, 2, "of the sound");
    }

    public async ValueTask DisposeAsync()
    {
        if (_library is not null)
        {
            await _library.DisposeAsync();
        }

        _traces?.Dispose();

        _objects.Dispose();
        _scratch.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Release_WhenAnotherImageIsDamaged_ForgetsTheImageAndKeepsWhatTheOtherMayNeed(bool missing)
    {
        ImageLibrary library = OpenDamaged(missing);

        await library.ReleaseAsync(Sound.ToString(), CancellationToken.None);

        Directory.Exists(DirectoryOf(Sound)).ShouldBeFalse();
        _objects.Contains(Digest.Of("shared"u8)).ShouldBeTrue();
        await library.DisposeAsync();
        using ImageRecords records = new(_layout.ImagesDatabase);
        records.Trees().ShouldHaveSingleItem().ChainId.ShouldBe(Damaged);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Release_OfTheDamagedImage_FreesWhatOnlyItHad(bool missing)
    {
        ImageLibrary library = OpenDamaged(missing);

        await library.ReleaseAsync(Damaged.ToString(), CancellationToken.None);

        Directory.Exists(DirectoryOf(Damaged)).ShouldBeFalse();
        _objects.Enumerate().ShouldBe([Digest.Of("shared"u8), Digest.Of("of the sound"u8)], ignoreOrder: true);
    }

    [Fact]
    public async Task Release_OfBoth_LeavesNothing()
    {
        ImageLibrary library = OpenDamaged(missing: false);

        await library.ReleaseAsync(Sound.ToString(), CancellationToken.None);
        await library.ReleaseAsync(Damaged.ToString(), CancellationToken.None);

        _objects.Enumerate().ShouldBeEmpty();
        Directory.EnumerateFileSystemEntries(_layout.ImagesDirectory).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Usage_WhenAnImageIsDamaged_IsThatOfTheOthersAndOfWhatIsLeft(bool missing)
    {
        ImageLibrary library = OpenDamaged(missing);

        (await library.UsageAsync(Sound.ToString(), CancellationToken.None)).Inodes.ShouldBe(3);
        (await library.UsageAsync(Damaged.ToString(), CancellationToken.None)).Inodes.ShouldBe(1);
    }

    [Fact]
    public async Task Attach_WhenTheFilesystemImageIsMissing_SaysWhatToDo()
    {
        ImageLibrary library = OpenDamaged(missing: true);

        FailureException failure = await Should.ThrowAsync<FailureException>(() => library.AttachAsync(Damaged.ToString(), "container", inOneDirectory: false, CancellationToken.None));

        failure.Error.ShouldSatisfyAllConditions(e => e.Kind.ShouldBe(ErrorKind.DataCorrupt), e => e.Message.ShouldContain("pull it again"));
    }

    private string DirectoryOf(Digest chain) => Path.Combine(_layout.ImagesDirectory, chain.Hex);

    private void Add(ImageRecords records, Digest chain, long created, string own)
    {
        ReadOnlyMemory<byte> image = ErofsWriter.Build(TreeMerger.Merge([[LayerEntries.File("both", "shared"), LayerEntries.File("own", own)]]).Value);
        Directory.CreateDirectory(DirectoryOf(chain));
        System.IO.File.WriteAllBytes(Path.Combine(DirectoryOf(chain), "filesystem.erofs"), image.ToArray());
        records.Add([new TreeRecord([chain], Digest.Of(image.Span), Complete: false, created)], [], []);
        records.MarkComplete([chain]);
        foreach (string content in new[] { "shared", own })
        {
            byte[] bytes = System.Text.Encoding.UTF8.GetBytes(content);
            _objects.Put(Digest.Of(bytes), bytes);
        }
    }

    /// <summary>Damaged while the daemon runs: at its start a file that is not there is noticed.</summary>
    private ImageLibrary OpenDamaged(bool missing)
    {
        UnpackedRoots roots = new(_objects, new ErofsFilesystemImages(), TimeProvider.System, NullLogger<ImageLibrary>.Instance);
        _traces = new ContainerTraces(_layout.TracesDirectory, obstacle: null, online: false, TimeProvider.System, NullLogger<ContainerTraces>.Instance);
        _library = new ImageLibrary(
            _layout, _objects, new ArrivalBoard(_objects), roots, _traces, new ErofsFilesystemImages(), TimeProvider.System, NullLogger<ImageLibrary>.Instance);
        string path = Path.Combine(DirectoryOf(Damaged), "filesystem.erofs");
        if (missing)
        {
            System.IO.File.Delete(path);
        }
        else
        {
            byte[] image = System.IO.File.ReadAllBytes(path);
            image[^1] ^= 1;
            System.IO.File.WriteAllBytes(path, image);
        }

        return _library;
    }
}
