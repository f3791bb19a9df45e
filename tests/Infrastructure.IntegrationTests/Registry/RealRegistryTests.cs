using System.Text;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Registry;
using Starlight.TestKit;
using static Starlight.Infrastructure.IntegrationTests.Registry.RegistryHarness;

namespace Starlight.Infrastructure.IntegrationTests.Registry;

/// <summary>Starts one registry without and one with a login for all tests of <see cref="RealRegistryTests"/>.</summary>
public sealed class RealRegistries : IAsyncLifetime
{
    public RegistryServer Open { get; private set; } = null!;

    public RegistryServer Locked { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Open = await RegistryServer.StartAsync();
        Locked = await RegistryServer.StartAsync(("alice", "s3cret:with colon"));
    }

    public async Task DisposeAsync()
    {
        await Open.DisposeAsync();
        await Locked.DisposeAsync();
    }
}

public sealed class RealRegistryTests(RealRegistries registries) : IClassFixture<RealRegistries>
{
    private static readonly byte[] Config = """{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{}}"""u8.ToArray();

    [Fact]
    public async Task Push_ThenPull_GivesTheSameBytes()
    {
        await using RegistryHarness harness = new();
        byte[] layer = RandomBytes(300_000);
        ManifestBlob pushed = await PushImageAsync(harness, $"{registries.Open.Host}/test/round-trip:1", layer);

        await using IImageSource source = harness.Source($"{registries.Open.Host}/test/round-trip:1");
        ManifestBlob pulled = await source.ResolveAsync(CancellationToken.None);

        pulled.Raw.ToArray().ShouldBe(pushed.Raw.ToArray());
        pulled.MediaType.ShouldBe(MediaTypes.OciManifest);
        (await source.GetManifestAsync(pushed.Descriptor, CancellationToken.None)).Digest.ShouldBe(pushed.Digest);
        (await ReadAllAsync(source.OpenBlobAsync(Layer(layer), CancellationToken.None))).ShouldBe(layer);
    }

    [Fact]
    public async Task Push_WhenTheBlobIsLargerThanAChunk_SendsChunksAndReportsEachByteOnce()
    {
        await using RegistryHarness harness = new(new RegistryOptions { UploadChunkSize = 1024 * 1024 });
        byte[] layer = RandomBytes((5 * 1024 * 1024) + 17);
        ProgressSum progress = new();
        IImageDestination destination = harness.Destination($"{registries.Open.Host}/test/chunks:1");

        await destination.PushBlobAsync(Layer(layer), Opener(layer), progress, CancellationToken.None);

        progress.Total.ShouldBe(layer.Length);
        (await destination.HasBlobAsync(Layer(layer), CancellationToken.None)).ShouldBeTrue();
        (await ReadAllAsync(harness.Source($"{registries.Open.Host}/test/chunks:1").OpenBlobAsync(Layer(layer), CancellationToken.None))).ShouldBe(layer);
        registries.Open.Log.ShouldContain("PATCH", Case.Sensitive);
    }

    [Fact]
    public async Task Push_WhenTheBlobIsThere_DoesNotOpenItsSource()
    {
        await using RegistryHarness harness = new();
        byte[] layer = RandomBytes(1000, seed: 7);
        IImageDestination destination = harness.Destination($"{registries.Open.Host}/test/again:1");
        await destination.PushBlobAsync(Layer(layer), Opener(layer), progress: null, CancellationToken.None);

        await destination.PushBlobAsync(Layer(layer), _ => throw new InvalidOperationException("opened"), progress: null, CancellationToken.None);
    }

    [Fact]
    public async Task Push_WhenTheBytesAreNotTheDescriptors_FailsAndStoresNothing()
    {
        await using RegistryHarness harness = new();
        byte[] layer = RandomBytes(1000, seed: 8);
        byte[] other = RandomBytes(1000, seed: 9);
        IImageDestination destination = harness.Destination($"{registries.Open.Host}/test/wrong:1");

        Error error = await FailureOfAsync(() => destination.PushBlobAsync(Layer(layer), Opener(other), progress: null, CancellationToken.None));

        error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        (await destination.HasBlobAsync(Layer(layer), CancellationToken.None)).ShouldBeFalse();
    }

    [Theory]
    [InlineData(900)]
    [InlineData(5000)]
    public async Task Push_WhenTheSourceIsShorterThanItsDescriptor_Fails(int claimed)
    {
        await using RegistryHarness harness = new(new RegistryOptions { UploadChunkSize = 1000 });
        byte[] layer = RandomBytes(claimed - 1, seed: claimed);
        Descriptor descriptor = Layer(layer) with { Size = claimed };

        Error error = await FailureOfAsync(() => harness.Destination($"{registries.Open.Host}/test/short:1").PushBlobAsync(descriptor, Opener(layer), progress: null, CancellationToken.None));

        error.ShouldSatisfyAllConditions(() => error.Code.ShouldBe("Registry.PushMismatch"), () => error.Message.ShouldContain($"{claimed - 1} of {claimed}"));
    }

    [Fact]
    public async Task EmptyBlob_PushedAndPulled_IsEmpty()
    {
        await using RegistryHarness harness = new();
        await harness.Destination($"{registries.Open.Host}/test/empty:1").PushBlobAsync(Layer([]), Opener([]), progress: null, CancellationToken.None);

        (await ReadAllAsync(harness.Source($"{registries.Open.Host}/test/empty:1").OpenBlobAsync(Layer([]), CancellationToken.None))).ShouldBeEmpty();
    }

    [Fact]
    public async Task Mount_WhenAnotherRepositoryHasTheBlob_MakesItAppear()
    {
        await using RegistryHarness harness = new();
        byte[] layer = RandomBytes(2000, seed: 3);
        await harness.Destination($"{registries.Open.Host}/test/from:1").PushBlobAsync(Layer(layer), Opener(layer), progress: null, CancellationToken.None);
        IImageDestination destination = harness.Destination($"{registries.Open.Host}/test/to:1");
        (await destination.HasBlobAsync(Layer(layer), CancellationToken.None)).ShouldBeFalse();

        (await destination.TryMountBlobAsync(Layer(layer), "test/from", CancellationToken.None)).ShouldBeTrue();

        (await destination.HasBlobAsync(Layer(layer), CancellationToken.None)).ShouldBeTrue();
    }

    [Fact]
    public async Task Mount_WhenTheOtherRepositoryLacksTheBlob_IsFalse()
    {
        await using RegistryHarness harness = new();

        (await harness.Destination($"{registries.Open.Host}/test/to:1").TryMountBlobAsync(Layer([1, 2, 3]), "test/nowhere", CancellationToken.None)).ShouldBeFalse();
    }

    [Theory]
    [InlineData(0, 10)]
    [InlineData(100_000, 65_537)]
    [InlineData(199_999, 1)]
    [InlineData(200_000, 0)]
    [InlineData(0, 200_000)]
    public async Task OpenBlobRange_GivesExactlyThePart(int offset, int length)
    {
        await using RegistryHarness harness = new();
        byte[] layer = RandomBytes(200_000, seed: 4);
        await harness.Destination($"{registries.Open.Host}/test/range:1").PushBlobAsync(Layer(layer), Opener(layer), progress: null, CancellationToken.None);

        byte[] part = await ReadAllAsync(harness.Source($"{registries.Open.Host}/test/range:1").OpenBlobRangeAsync(Layer(layer), offset, length, CancellationToken.None));

        part.ShouldBe(layer[offset..(offset + length)]);
    }

    [Fact]
    public async Task Resolve_WhenTheImageIsUnknown_IsNotFoundAndNamesRegistryAndImage()
    {
        await using RegistryHarness harness = new();

        Error error = await FailureOfAsync(() => harness.Source($"{registries.Open.Host}/test/nobody:9").ResolveAsync(CancellationToken.None));

        error.Kind.ShouldBe(ErrorKind.NotFound);
        error.Message.ShouldContain(registries.Open.Host);
        error.Message.ShouldContain("test/nobody:9");
        error.Message.ShouldNotContain("\n");
    }

    [Fact]
    public async Task TryResolve_IsNullBeforeAndTheManifestAfterAPush()
    {
        await using RegistryHarness harness = new();
        string reference = $"{registries.Open.Host}/test/try:1";
        (await harness.Destination(reference).TryResolveAsync(CancellationToken.None)).ShouldBeNull();

        ManifestBlob pushed = await PushImageAsync(harness, reference, RandomBytes(10));

        (await harness.Destination(reference).TryResolveAsync(CancellationToken.None))!.Digest.ShouldBe(pushed.Digest);
    }

    [Fact]
    public async Task Blob_WhenDamagedInTheRegistrysStorage_FailsAtItsEnd()
    {
        await using RegistryHarness harness = new();
        byte[] layer = RandomBytes(50_000, seed: 5);
        await harness.Destination($"{registries.Open.Host}/test/damaged:1").PushBlobAsync(Layer(layer), Opener(layer), progress: null, CancellationToken.None);
        string hex = Layer(layer).Digest.Hex;
        string file = Path.Combine(registries.Open.StorageDirectory, "docker/registry/v2/blobs/sha256", hex[..2], hex, "data");
        byte[] damaged = [.. layer];
        damaged[30_000] ^= 1;
        await File.WriteAllBytesAsync(file, damaged);

        Error error = await FailureOfAsync(() => ReadAllAsync(harness.Source($"{registries.Open.Host}/test/damaged:1").OpenBlobAsync(Layer(layer), CancellationToken.None)));

        error.ShouldSatisfyAllConditions(
            () => error.Code.ShouldBe("Registry.BlobMismatch"),
            () => error.Kind.ShouldBe(ErrorKind.DataCorrupt),
            () => error.Message.ShouldContain(hex),
            () => error.Message.ShouldContain(registries.Open.Host));
    }

    [Fact]
    public async Task LockedRegistry_WithTheRightLogin_TakesAndGivesImages()
    {
        await using RegistryHarness harness = new(new RegistryOptions
        {
            Credentials = new Dictionary<string, RegistryCredential>(StringComparer.Ordinal) { [registries.Locked.Host] = new("alice", "s3cret:with colon") },
        });
        byte[] layer = RandomBytes(5000, seed: 6);

        ManifestBlob pushed = await PushImageAsync(harness, $"{registries.Locked.Host}/private/app:1", layer);

        IImageSource source = harness.Source($"{registries.Locked.Host}/private/app:1");
        (await source.ResolveAsync(CancellationToken.None)).Digest.ShouldBe(pushed.Digest);
        (await ReadAllAsync(source.OpenBlobAsync(Layer(layer), CancellationToken.None))).ShouldBe(layer);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("wrong")]
    public async Task LockedRegistry_WithoutTheRightLogin_IsUnauthenticated(string? password)
    {
        Dictionary<string, RegistryCredential> credentials = new(StringComparer.Ordinal);
        if (password is not null)
        {
            credentials[registries.Locked.Host] = new RegistryCredential("alice", password);
        }

        await using RegistryHarness harness = new(new RegistryOptions { Credentials = credentials });

        Error error = await FailureOfAsync(() => harness.Source($"{registries.Locked.Host}/private/app:1").ResolveAsync(CancellationToken.None));

        error.Kind.ShouldBe(ErrorKind.Unauthenticated);
        error.Message.ShouldContain("docker login");
        error.Message.ShouldNotContain("wrong");
    }

    [Fact]
    public async Task Registry_WhenRestartedDuringAPull_IsWaitedFor()
    {
        await using RegistryServer server = await RegistryServer.StartAsync();
        await using RegistryHarness harness = new();
        byte[] layer = RandomBytes(8 * 1024 * 1024, seed: 10);
        await harness.Destination($"{server.Host}/test/restart:1").PushBlobAsync(Layer(layer), Opener(layer), progress: null, CancellationToken.None);
        await using Stream stream = await harness.Source($"{server.Host}/test/restart:1").OpenBlobAsync(Layer(layer), CancellationToken.None);
        byte[] start = new byte[1000];
        await stream.ReadExactlyAsync(start);

        await server.StopAsync();
        await server.RestartAsync();
        using MemoryStream rest = new();
        await stream.CopyToAsync(rest);

        start.Concat(rest.ToArray()).ToArray().ShouldBe(layer);
    }

    [Fact]
    public async Task Registry_WhenDown_IsUnavailableAndSaysWhere()
    {
        await using RegistryServer server = await RegistryServer.StartAsync();
        await server.StopAsync();
        await using RegistryHarness harness = new();

        Error error = await FailureOfAsync(() => harness.Source($"{server.Host}/test/down:1").ResolveAsync(CancellationToken.None));

        error.Kind.ShouldBe(ErrorKind.Unavailable);
        error.Message.ShouldContain(server.Host);
        harness.Time.Waits.Count.ShouldBe(new RegistryOptions().RetryLimit);
    }

    private static async Task<ManifestBlob> PushImageAsync(RegistryHarness harness, string reference, byte[] layer)
    {
        IImageDestination destination = harness.Destination(reference);
        Descriptor config = new(MediaTypes.OciConfig, Digest.Of(Config), Config.Length);
        await destination.PushBlobAsync(config, Opener(Config), progress: null, CancellationToken.None);
        await destination.PushBlobAsync(Layer(layer), Opener(layer), progress: null, CancellationToken.None);
        ManifestBlob manifest = new(
            Encoding.UTF8.GetBytes(
                $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{"mediaType":"{{config.MediaType}}","digest":"{{config.Digest}}","size":{{config.Size}}},"layers":[{"mediaType":"{{MediaTypes.OciLayerGzip}}","digest":"{{Digest.Of(layer)}}","size":{{layer.Length}}}]}"""),
            MediaTypes.OciManifest);
        await destination.PushManifestAsync(manifest, reference[(reference.LastIndexOf(':') + 1)..], CancellationToken.None);
        return manifest;
    }
}
