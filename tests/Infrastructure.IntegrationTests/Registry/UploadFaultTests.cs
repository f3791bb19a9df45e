using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Registry;
using Starlight.TestKit;
using static Starlight.Infrastructure.IntegrationTests.Registry.RegistryHarness;

namespace Starlight.Infrastructure.IntegrationTests.Registry;

/// <summary>Writing to a registry that misbehaves. The fake refuses chunks that do not follow on and blobs with a wrong digest.</summary>
public sealed class UploadFaultTests : IAsyncLifetime
{
    private const int Chunk = 10_000;

    private readonly RegistryHarness _harness = new(new RegistryOptions { UploadChunkSize = Chunk });
    private readonly byte[] _blob = RandomBytes(35_000);
    private readonly ProgressSum _progress = new();
    private FakeRegistry _registry = null!;
    private int _opened;

    public async Task InitializeAsync() => _registry = await FakeRegistry.StartAsync();

    public async Task DisposeAsync()
    {
        await _harness.DisposeAsync();
        await _registry.DisposeAsync();
    }

    [Fact]
    public async Task Push_OfALargeBlob_SendsChunksThatFollowOn()
    {
        await PushAsync();

        Stored().ShouldBe(_blob);
        Patches().Select(r => r.ContentRange).ShouldBe(["0-9999", "10000-19999", "20000-29999", "30000-34999"]);
        _registry.Requests[^1].Query.ShouldContain("digest=sha256%3A");
        _progress.Total.ShouldBe(_blob.Length);
    }

    [Fact]
    public async Task Push_OfASmallBlob_TakesOnePost_AndOnePut()
    {
        byte[] small = RandomBytes(Chunk);

        await _harness.Destination($"{_registry.Host}/app:1").PushBlobAsync(Layer(small), Opener(small), _progress, CancellationToken.None);

        _registry.Requests.Select(r => r.Method).ShouldBe(["HEAD", "POST", "PUT"]);
        _progress.Total.ShouldBe(small.Length);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4_000)]
    [InlineData(10_000)]
    public async Task Push_WhenAChunksAnswerIsLost_AsksHowFarItCameAndGoesOn(int arrived)
    {
        // The second chunk: its connection breaks after some of it, or all of it, has arrived.
        bool second = false;
        _registry.OnRequest(
            r => r.Method == "PATCH" && r.Headers["Content-Range"] == "10000-19999" && !second,
            context =>
            {
                second = true;
                _registry.AppendToUpload(_blob.AsSpan(10_000, arrived));
                context.Abort();
                return Task.FromResult(true);
            },
            times: 1);

        await PushAsync();

        Stored().ShouldBe(_blob);
        _opened.ShouldBe(1);
        _registry.Requests.Count(r => r.Method == "GET").ShouldBe(1);
        _progress.Total.ShouldBe(_blob.Length);
    }

    [Fact]
    public async Task Push_WhenTheFirstChunkMeetsPassingFaults_GoesOnInTheSameSession()
    {
        _registry.Fail("PATCH", "/uploads/", 503, times: 2);

        await PushAsync();

        Stored().ShouldBe(_blob);
        _registry.Requests.Count(r => r.Method == "POST").ShouldBe(1);
    }

    [Fact]
    public async Task Push_WhenTheRegistryTakesLessThanAChunk_SendsTheRest()
    {
        _registry.TakesPerPatch = 7_000;

        await PushAsync();

        Stored().ShouldBe(_blob);
        Patches().Select(r => r.ContentRange).Take(3).ShouldBe(["0-9999", "7000-9999", "10000-19999"]);
    }

    [Fact]
    public async Task Push_WhenTheSessionIsLost_BeginsAgain()
    {
        _registry.OnRequest(
            r => r.Method == "PATCH" && r.Headers["Content-Range"] == "20000-29999",
            _ =>
            {
                _registry.LoseUploads();
                return Task.FromResult(false);
            },
            times: 1);

        await PushAsync();

        Stored().ShouldBe(_blob);
        _opened.ShouldBe(2);
        _progress.Total.ShouldBe(_blob.Length);
    }

    [Fact]
    public async Task Push_WhenEverySessionIsLost_GivesUp()
    {
        _registry.Fail("PATCH", "/uploads/", 404);

        (await FailureOfAsync(PushAsync)).Code.ShouldBe("Registry.UploadLost");
    }

    [Fact]
    public async Task Push_WhenThereIsNoPatch_SendsTheBlobInOnePut_AndRemembersIt()
    {
        _registry.Fail("PATCH", "/uploads/", 405);

        await PushAsync();
        byte[] next = RandomBytes(25_000, seed: 2);
        await _harness.Destination($"{_registry.Host}/other:1").PushBlobAsync(Layer(next), Opener(next), progress: null, CancellationToken.None);

        Stored().ShouldBe(_blob);
        _registry.Blobs[Digest.Of(next).ToString()].ShouldBe(next);
        Patches().Count().ShouldBe(1);
        _progress.Total.ShouldBe(_blob.Length);
    }

    [Fact]
    public async Task Push_WhenTheLastAnswerIsLost_SeesThatTheBlobIsThere()
    {
        _registry.OnRequest(
            r => r.Method == "PUT",
            context =>
            {
                _registry.AddBlob(_blob);
                context.Abort();
                return Task.FromResult(true);
            },
            times: 1);

        await PushAsync();

        _registry.Requests.Count(r => r.Method == "PUT").ShouldBe(1);
        _registry.Requests[^1].Method.ShouldBe("HEAD");
    }

    [Theory]
    [InlineData(34_999)]
    [InlineData(35_001)]
    public async Task Push_WhenTheSourceHasAnotherLength_Fails(int length)
    {
        Error error = await FailureOfAsync(() => _harness.Destination($"{_registry.Host}/app:1").PushBlobAsync(
            Layer(_blob), Opener(RandomBytes(length)), progress: null, CancellationToken.None));

        error.Code.ShouldBe("Registry.PushMismatch");
        _registry.Requests.ShouldNotContain(r => r.Method == "PUT");
    }

    [Fact]
    public async Task Push_WhenTheSourceFails_PassesItsErrorOn()
    {
        Error broken = new("Test.Broken", "the source is broken", ErrorKind.DataCorrupt);

        (await FailureOfAsync(() => _harness.Destination($"{_registry.Host}/app:1").PushBlobAsync(
            Layer(_blob), _ => throw new FailureException(broken), progress: null, CancellationToken.None))).ShouldBe(broken);
    }

    [Fact]
    public async Task Mount_WhenRefused_CancelsTheSessionThatWasOpened()
    {
        bool mounted = await _harness.Destination($"{_registry.Host}/app:1").TryMountBlobAsync(Layer(_blob), "other/repo", CancellationToken.None);

        mounted.ShouldBeFalse();
        _registry.Requests.Select(r => r.Method).ShouldBe(["POST", "DELETE"]);
        _registry.Requests[0].Query.ShouldContain("from=other%2Frepo");
    }

    [Fact]
    public async Task PushManifest_WhenTheRegistryStoresAnother_IsDataCorrupt()
    {
        _registry.OnRequest(r => r.Method == "PUT", context =>
        {
            context.Response.StatusCode = 201;
            context.Response.Headers["Docker-Content-Digest"] = "sha256:" + new string('b', 64);
            return Task.FromResult(true);
        });

        Error error = await FailureOfAsync(() => _harness.Destination($"{_registry.Host}/app:1").PushManifestAsync(
            new ManifestBlob("{}"u8.ToArray(), "application/vnd.oci.image.manifest.v1+json"), "1", CancellationToken.None));

        error.Kind.ShouldBe(ErrorKind.DataCorrupt);
    }

    [Fact]
    public async Task TryResolve_WhenAbsent_TakesOneHead()
    {
        (await _harness.Destination($"{_registry.Host}/app:1").TryResolveAsync(CancellationToken.None)).ShouldBeNull();

        _registry.Requests.Select(r => r.Method).ShouldBe(["HEAD"]);
    }

    private Task PushAsync() => _harness.Destination($"{_registry.Host}/app:1").PushBlobAsync(
        Layer(_blob),
        _ =>
        {
            _opened++;
            return Task.FromResult<Stream>(new MemoryStream(_blob));
        },
        _progress,
        CancellationToken.None);

    private byte[] Stored() => _registry.Blobs[Digest.Of(_blob).ToString()];

    private IEnumerable<SeenRequest> Patches() => _registry.Requests.Where(r => r.Method == "PATCH");
}
