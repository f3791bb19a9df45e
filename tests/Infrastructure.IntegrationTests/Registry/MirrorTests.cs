using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Registry;
using Starlight.TestKit;
using static Starlight.Infrastructure.IntegrationTests.Registry.RegistryHarness;

namespace Starlight.Infrastructure.IntegrationTests.Registry;

/// <summary>Reading from a registry's mirrors.</summary>
public sealed class MirrorTests : IAsyncLifetime
{
    private FakeRegistry _origin = null!;
    private FakeRegistry _mirror = null!;
    private RegistryHarness _harness = null!;

    public async Task InitializeAsync()
    {
        _origin = await FakeRegistry.StartAsync();
        _mirror = await FakeRegistry.StartAsync();
        _harness = new RegistryHarness(new RegistryOptions { Mirrors = new Dictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal) { [_origin.Host] = [_mirror.Host] } });
    }

    public async Task DisposeAsync()
    {
        await _harness.DisposeAsync();
        await _origin.DisposeAsync();
        await _mirror.DisposeAsync();
    }

    [Fact]
    public async Task Read_WhenTheMirrorHasIt_LeavesTheRegistryAlone()
    {
        byte[] content = RandomBytes(1000);
        _mirror.AddBlob(content);
        _mirror.AddManifest("team/app", "1", "{}", MediaTypes.OciManifest);
        await using IImageSource source = _harness.Source($"{_origin.Host}/team/app:1");

        await source.ResolveAsync(CancellationToken.None);
        (await ReadAllAsync(source.OpenBlobAsync(Layer(content), CancellationToken.None))).ShouldBe(content);

        _origin.Requests.ShouldBeEmpty();
        source.DisplayName.ShouldBe($"{_origin.Host}/team/app:1");
    }

    [Fact]
    public async Task Read_WhenTheMirrorSentADamagedBlob_AsksTheRegistryNextTime()
    {
        byte[] content = RandomBytes(1000);
        _origin.AddBlob(content);
        _mirror.Blobs[Digest.Of(content).ToString()] = RandomBytes(1000, seed: 2);
        await using IImageSource source = _harness.Source($"{_origin.Host}/team/app:1");

        (await Should.ThrowAsync<FailureException>(() => ReadAllAsync(source.OpenBlobAsync(Layer(content), CancellationToken.None)))).Error.Code.ShouldBe("Registry.BlobMismatch");
        (await ReadAllAsync(source.OpenBlobAsync(Layer(content), CancellationToken.None))).ShouldBe(content);
    }

    [Fact]
    public async Task Read_WhenTheMirrorLacksIt_AsksTheRegistry()
    {
        byte[] content = RandomBytes(1000);
        _origin.AddBlob(content);
        _origin.AddManifest("team/app", "1", "{}", MediaTypes.OciManifest);
        await using IImageSource source = _harness.Source($"{_origin.Host}/team/app:1");

        await source.ResolveAsync(CancellationToken.None);
        (await ReadAllAsync(source.OpenBlobRangeAsync(Layer(content), 10, 20, CancellationToken.None))).ShouldBe(content[10..30]);

        _mirror.Requests.ShouldNotBeEmpty();
    }

    [Fact]
    public async Task Read_WhenTheMirrorIsDown_DoesNotWaitForItAgainAtOnce()
    {
        _origin.AddManifest("team/app", "1", "{}", MediaTypes.OciManifest);
        _mirror.Fail("GET", "/", 503);
        await using IImageSource source = _harness.Source($"{_origin.Host}/team/app:1");

        await source.ResolveAsync(CancellationToken.None);
        int asked = _mirror.Requests.Count;
        asked.ShouldBeGreaterThan(0);
        await source.ResolveAsync(CancellationToken.None);
        _mirror.Requests.Count.ShouldBe(asked);

        _harness.Time.Advance(TimeSpan.FromMinutes(2));
        await source.ResolveAsync(CancellationToken.None);
        _mirror.Requests.Count.ShouldBeGreaterThan(asked);
    }

    [Fact]
    public async Task Read_WhenNobodyHasIt_GivesTheRegistrysOwnAnswer()
    {
        await using IImageSource source = _harness.Source($"{_origin.Host}/team/app:1");

        Error error = await FailureOfAsync(() => source.ResolveAsync(CancellationToken.None));

        error.Code.ShouldBe("Registry.Unknown");
        error.Message.ShouldContain(_origin.Host);
    }
}
