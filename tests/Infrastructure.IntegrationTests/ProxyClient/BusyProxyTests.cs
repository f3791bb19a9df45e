using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.IntegrationTests.WorkerImages;
using Starlight.Infrastructure.ProxyClient;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.ProxyClient;

/// <summary>How long a proxy that has too much to do is asked again.</summary>
public sealed class BusyProxyTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly InstantTime _time = new();

    [Theory]
    [InlineData("0", 4)]
    [InlineData("Wed, 21 Oct 2015 07:28:00 GMT", 4)]
    [InlineData("2", 2)]
    [InlineData("6", 0)]
    public async Task Request_WhenTheProxyIsBusy_WaitsBetweenAttemptsAndNotBeyondItsPatience(string retryAfter, int mostWaits)
    {
        await using SentImages proxy = await SentImages.StartAsync();
        proxy.BusyFor = retryAfter;

        await RefusedAsync(proxy);

        _time.Waits.Count.ShouldBeInRange(Math.Min(1, mostWaits), mostWaits);
        _time.Waits.ShouldAllBe(w => w >= TimeSpan.FromSeconds(1));
        _time.Waits.Aggregate(TimeSpan.Zero, (sum, wait) => sum + wait).ShouldBeLessThan(Patience);
    }

    /// <summary>A proxy that takes its time to say no uses up the patience too.</summary>
    [Fact]
    public async Task Request_WhenEachRefusalTakesLong_CountsThat()
    {
        await using SentImages proxy = await SentImages.StartAsync();
        proxy.BusyFor = "1";
        proxy.Asked = () => _time.Advance(TimeSpan.FromSeconds(3));

        await RefusedAsync(proxy);

        proxy.Requests.Count.ShouldBe(2);
    }

    private async Task RefusedAsync(SentImages proxy)
    {
        using StarlightProxyClient client = new(new ErofsFilesystemImages(), time: _time);
        DeltaRequest request = new([ImageReference.Parse("reg.example.com/app:1").Value], new Platform("linux", "amd64"), []) { AnswerWithin = Patience };
        using CancellationTokenSource hung = new(TimeSpan.FromSeconds(30));
        await Should.ThrowAsync<FailureException>(() => client.RequestDeltaAsync(proxy.Profile, request, hung.Token));
    }
}
