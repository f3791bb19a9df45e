using Microsoft.AspNetCore.Http;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Registry;
using Starlight.TestKit;
using static Starlight.Infrastructure.IntegrationTests.Registry.RegistryHarness;

namespace Starlight.Infrastructure.IntegrationTests.Registry;

/// <summary>Reading from a registry that misbehaves.</summary>
public sealed class FaultTests : IAsyncLifetime
{
    private const string Manifest =
        """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}""";

    private readonly RegistryHarness _harness = new();
    private FakeRegistry _registry = null!;

    private string Image => $"{_registry.Host}/app:1";

    public async Task InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync();
        _registry.AddManifest("app", "1", Manifest, MediaTypes.OciManifest);
    }

    public async Task DisposeAsync()
    {
        await _harness.DisposeAsync();
        await _registry.DisposeAsync();
    }

    [Theory]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    public async Task Resolve_WhenTheFaultPasses_Succeeds(int status)
    {
        _registry.Fail("GET", "/manifests/", status, times: 3);

        (await ResolveAsync()).Digest.ShouldBe(Digest.Of(System.Text.Encoding.UTF8.GetBytes(Manifest)));

        _registry.Requests.Count.ShouldBe(4);
        _harness.Time.Waits.Count.ShouldBe(3);
    }

    [Fact]
    public async Task Resolve_WhenTheFaultStays_GivesUpAtTheLimitAndSaysWhatWasSaid()
    {
        _registry.Fail("GET", "/manifests/", 503, body: """{"errors":[{"code":"UNAVAILABLE","message":"storage is\n\u001b[31mbeing moved"}]}""");

        Error error = await FailureOfAsync(ResolveAsync);

        error.Kind.ShouldBe(ErrorKind.Unavailable);
        error.Message.ShouldContain("being moved");
        error.Message.Any(char.IsControl).ShouldBeFalse();
        _registry.Requests.Count.ShouldBe(1 + new RegistryOptions().RetryLimit);
    }

    [Fact]
    public async Task Resolve_When429HasRetryAfter_WaitsThatLong()
    {
        _registry.Fail("GET", "/manifests/", 429, times: 1, retryAfter: "17");

        await ResolveAsync();

        _harness.Time.Waits.ShouldBe([TimeSpan.FromSeconds(17)]);
    }

    [Fact]
    public async Task Resolve_WhenRetryAfterIsADate_WaitsUntilThen()
    {
        _registry.Fail("GET", "/manifests/", 503, times: 1, retryAfter: _harness.Time.GetUtcNow().AddSeconds(9).ToString("R"));

        await ResolveAsync();

        _harness.Time.Waits.ShouldBe([TimeSpan.FromSeconds(9)]);
    }

    [Fact]
    public async Task Resolve_WhenRetryAfterIsTooLong_ReportsItAtOnce()
    {
        _registry.Fail("GET", "/manifests/", 429, retryAfter: "3600");

        Error error = await FailureOfAsync(ResolveAsync);

        error.Message.ShouldContain("3600 s");
        _harness.Time.Waits.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(403, ErrorKind.PermissionDenied)]
    [InlineData(404, ErrorKind.NotFound)]
    [InlineData(400, ErrorKind.FailedPrecondition)]
    [InlineData(501, ErrorKind.Unavailable)]
    public async Task Resolve_WhenRefused_IsNotRepeated(int status, ErrorKind kind)
    {
        _registry.Fail("GET", "/manifests/", status, body: "<html>not a registry's error</html>");

        (await FailureOfAsync(ResolveAsync)).Kind.ShouldBe(kind);

        _registry.Requests.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Resolve_WhenTheDigestIsNotTheOneStated_IsDataCorrupt()
    {
        _registry.OnRequest(r => r.Path.Value!.Contains("/manifests/"), context =>
        {
            context.Response.Headers["Docker-Content-Digest"] = "sha256:" + new string('a', 64);
            context.Response.ContentType = MediaTypes.OciManifest;
            return context.Response.WriteAsync(Manifest).ContinueWith(_ => true, TaskScheduler.Default);
        });

        (await FailureOfAsync(ResolveAsync)).Code.ShouldBe("Registry.ManifestMismatch");
    }

    [Fact]
    public async Task GetManifest_WhenItsContentIsAnother_IsDataCorrupt()
    {
        Digest asked = Digest.Of("other"u8);
        _registry.Manifests[$"app@{asked}"] = (System.Text.Encoding.UTF8.GetBytes(Manifest), MediaTypes.OciManifest);

        Error error = await FailureOfAsync(() => _harness.Source(Image).GetManifestAsync(new Descriptor(MediaTypes.OciManifest, asked, Manifest.Length), CancellationToken.None));

        error.Kind.ShouldBe(ErrorKind.DataCorrupt);
    }

    [Fact]
    public async Task Resolve_WhenTheManifestIsTooLarge_IsRefusedWithoutReadingItAll()
    {
        _registry.AddManifest("app", "1", "{\"a\":\"" + new string('x', 4 * 1024 * 1024) + "\"}", MediaTypes.OciManifest);

        (await FailureOfAsync(ResolveAsync)).Kind.ShouldBe(ErrorKind.ResourceExhausted);
    }

    [Fact]
    public async Task Resolve_AsksForEveryFormatThatItReads()
    {
        string accept = "";
        _registry.OnRequest(_ => true, context =>
        {
            accept = context.Request.Headers.Accept.ToString();
            return Task.FromResult(false);
        });

        await ResolveAsync();

        foreach (string mediaType in new[] { MediaTypes.OciIndex, MediaTypes.OciManifest, MediaTypes.DockerManifestList, MediaTypes.DockerManifest })
        {
            accept.ShouldContain(mediaType);
        }
    }

    [Fact]
    public async Task Blob_WhenConnectionsDrop_GoesOnWhereItStopped()
    {
        byte[] blob = RandomBytes(1_000_000);
        string digest = _registry.AddBlob(blob);
        _registry.DropAfter(digest, bytes: 100_000, times: 7);

        (await ReadAllAsync(_harness.Source(Image).OpenBlobAsync(Layer(blob), CancellationToken.None))).ShouldBe(blob);

        _registry.Requests.Count.ShouldBe(8);
        _registry.Requests[0].Range.ShouldBeNull();
        _registry.Requests.Skip(1).ShouldAllBe(r => r.Range != null);
        _registry.Requests[^1].Range.ShouldNotBe("bytes=0-999999");
    }

    [Fact]
    public async Task Blob_WhenConnectionsDropAndRangesAreIgnored_SkipsWhatItHas()
    {
        byte[] blob = RandomBytes(1_000_000);
        _registry.IgnoresRanges = true;
        _registry.DropAfter(_registry.AddBlob(blob), bytes: 600_000, times: 3);

        (await ReadAllAsync(_harness.Source(Image).OpenBlobAsync(Layer(blob), CancellationToken.None))).ShouldBe(blob);
    }

    [Fact]
    public async Task Blob_WhenNoConnectionBringsAByte_FailsAfterTheLimit()
    {
        byte[] blob = RandomBytes(1000);
        _registry.DropAfter(_registry.AddBlob(blob), bytes: 0, times: int.MaxValue);

        Error error = await FailureOfAsync(() => ReadAllAsync(_harness.Source(Image).OpenBlobAsync(Layer(blob), CancellationToken.None)));

        error.Kind.ShouldBe(ErrorKind.Unavailable);
        error.Message.ShouldContain(_registry.Host);

        // SocketsHttpHandler itself repeats a request once if the pooled connection it chose turns out to be closed.
        _registry.Requests.Count.ShouldBeLessThanOrEqualTo(2 * (2 + new RegistryOptions().RetryLimit));
    }

    [Fact]
    public async Task Blob_WhenTheRegistryFallsSilent_IsReadOverAnotherConnection()
    {
        await using RegistryHarness harness = new(new RegistryOptions { IdleTimeout = TimeSpan.FromMilliseconds(200) });
        byte[] blob = RandomBytes(300_000);
        string digest = _registry.AddBlob(blob);
        _registry.OnRequest(
            r => r.Path.Value!.Contains(digest),
            async context =>
            {
                context.Response.ContentLength = blob.Length;
                await context.Response.Body.WriteAsync(blob.AsMemory(0, 100_000));
                await context.Response.Body.FlushAsync();
                await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
                return true;
            },
            times: 1);

        (await ReadAllAsync(harness.Source(Image).OpenBlobAsync(Layer(blob), CancellationToken.None))).ShouldBe(blob);
    }

    [Fact]
    public async Task Blob_WhenTheAnswersRangeIsAnother_IsRefused()
    {
        byte[] blob = RandomBytes(1000);
        string digest = _registry.AddBlob(blob);
        _registry.OnRequest(r => r.Path.Value!.Contains(digest), async context =>
        {
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = "bytes 0-9/1000";
            await context.Response.Body.WriteAsync(blob.AsMemory(0, 10));
            return true;
        });

        (await FailureOfAsync(() => _harness.Source(Image).OpenBlobRangeAsync(Layer(blob), 500, 10, CancellationToken.None))).Kind.ShouldBe(ErrorKind.DataCorrupt);
    }

    [Fact]
    public async Task BlobRange_WhenTheRegistryHasNoRanges_IsUnsupported()
    {
        byte[] blob = RandomBytes(1000);
        _registry.AddBlob(blob);
        _registry.IgnoresRanges = true;

        (await FailureOfAsync(() => _harness.Source(Image).OpenBlobRangeAsync(Layer(blob), 500, 10, CancellationToken.None))).Kind.ShouldBe(ErrorKind.Unsupported);
        (await ReadAllAsync(_harness.Source(Image).OpenBlobRangeAsync(Layer(blob), 0, 10, CancellationToken.None))).ShouldBe(blob[..10]);
    }

    [Fact]
    public async Task BlobRange_WhenTheConnectionDrops_GoesOn()
    {
        byte[] blob = RandomBytes(500_000);
        _registry.DropAfter(_registry.AddBlob(blob), bytes: 100_000, times: 2);

        (await ReadAllAsync(_harness.Source(Image).OpenBlobRangeAsync(Layer(blob), 50_000, 400_000, CancellationToken.None))).ShouldBe(blob[50_000..450_000]);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    public async Task Blob_WhenItsLengthIsAnother_FailsBeforeAnyByte(int difference)
    {
        byte[] blob = RandomBytes(1000);
        string digest = Digest.Of(blob).ToString();
        _registry.Blobs[digest] = RandomBytes(1000 + difference);

        Error error = await FailureOfAsync(() => _harness.Source(Image).OpenBlobAsync(Layer(blob), CancellationToken.None));

        error.Code.ShouldBe("Registry.BlobMismatch");
        error.Message.ShouldContain(digest);
    }

    [Fact]
    public async Task Blob_WhenOneBitIsWrong_NeverEndsWell()
    {
        byte[] blob = RandomBytes(100_000);
        byte[] wrong = [.. blob];
        wrong[^1] ^= 1;
        _registry.Blobs[Digest.Of(blob).ToString()] = wrong;
        await using Stream stream = await _harness.Source(Image).OpenBlobAsync(Layer(blob), CancellationToken.None);
        await stream.ReadExactlyAsync(new byte[100_000]);

        Error error = await FailureOfAsync(() => stream.ReadAsync(new byte[1]).AsTask());

        error.Code.ShouldBe("Registry.BlobMismatch");
    }

    [Fact]
    public async Task Blob_WhenTheCallerCancels_IsACancellationAndNoFailure()
    {
        using CancellationTokenSource cancellation = new();
        _registry.OnRequest(_ => true, async context =>
        {
            await cancellation.CancelAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return true;
        });

        await Should.ThrowAsync<OperationCanceledException>(() => _harness.Source(Image).ResolveAsync(cancellation.Token));
    }

    [Fact]
    public async Task Blob_ReadByManyAtOnce_GivesEachTheSame()
    {
        byte[] blob = RandomBytes(200_000);
        _registry.DropAfter(_registry.AddBlob(blob), bytes: 50_000, times: 10);
        IImageSource source = _harness.Source(Image);

        byte[][] all = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => ReadAllAsync(source.OpenBlobAsync(Layer(blob), CancellationToken.None))));

        all.ShouldAllBe(copy => copy.SequenceEqual(blob));
    }

    [Fact]
    public async Task Blob_ReadSynchronously_GivesTheSame()
    {
        byte[] blob = RandomBytes(200_000);
        _registry.AddBlob(blob);
        using MemoryStream copy = new();
        using Stream stream = await _harness.Source(Image).OpenBlobAsync(Layer(blob), CancellationToken.None);

        stream.CopyTo(copy);

        copy.ToArray().ShouldBe(blob);
    }

    private Task<ManifestBlob> ResolveAsync() => _harness.Source(Image).ResolveAsync(CancellationToken.None);
}
