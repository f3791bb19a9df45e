using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Infrastructure.Pacing;
using Starlight.Infrastructure.Registry;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Pacing;

/// <summary>With a clock that moves only when it is told to or waited for: nothing here depends on how fast the machine is.</summary>
public sealed class BackgroundPaceTests : IAsyncLifetime
{
    private static readonly TimeSpan Work = TimeSpan.FromMilliseconds(100);

    private readonly InstantTime _time = new();
    private FakeRegistry _registry = null!;
    private ServiceProvider _services = null!;

    public async Task InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync();
        ServiceCollection services = new();
        services.AddSingleton<TimeProvider>(_time);
        _services = services.AddImageTransports().AddBackgroundPace().BuildServiceProvider();
    }

    public async Task DisposeAsync()
    {
        await _services.DisposeAsync();
        await _registry.DisposeAsync();
    }

    [Fact]
    public async Task Read_InBackgroundWhileSomebodyIsServed_RestsThreeTimesAsLongAsItWorks()
    {
        using IDisposable serving = _services.GetRequiredService<BackgroundPace>().EnterForeground();

        (await RestsAsync(background: true)).ShouldBe([3 * Work, 3 * Work, 3 * Work]);
    }

    [Fact]
    public async Task Read_InBackgroundWhenNobodyIsServed_DoesNotRest()
    {
        BackgroundPace pace = _services.GetRequiredService<BackgroundPace>();
        pace.EnterForeground().Dispose();

        (await RestsAsync(background: true)).ShouldBeEmpty();
        pace.IsBusy.ShouldBeFalse();
    }

    [Fact]
    public async Task Read_InTheForeground_DoesNotRest()
    {
        using IDisposable serving = _services.GetRequiredService<BackgroundPace>().EnterForeground();
        BackgroundPace.EnterBackground().Dispose();

        (await RestsAsync(background: false)).ShouldBeEmpty();
    }

    /// <summary>Four reads with work between them, in a task of their own as layers are; the waits.</summary>
    private async Task<IReadOnlyList<TimeSpan>> RestsAsync(bool background)
    {
        byte[] blob = new byte[100_000];
        Digest digest = Digest.Of(blob);
        _registry.Blobs[digest.ToString()] = blob;
        using IDisposable? entered = background ? BackgroundPace.EnterBackground() : null;
        await Task.Run(async () =>
        {
            await using IImageSource source = _services.GetRequiredService<IImageTransports>().OpenSource(ImageReference.Parse($"{_registry.Host}/a:1").Value, new RegistryAccess());
            await using Stream stream = await source.OpenBlobAsync(new Descriptor(MediaTypes.OciLayerGzip, digest, blob.Length), default);
            byte[] buffer = new byte[1000];
            for (int i = 0; i < 4; i++)
            {
                await stream.ReadExactlyAsync(buffer);
                _time.Advance(Work);
            }
        });
        return _time.Waits;
    }
}
