using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.ProxyClient;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>Connections that a daemon keeps to its proxy. The speed that they bring shows on a long line only: benchmarks/wan.</summary>
public sealed class WarmConnectionsTests : IAsyncLifetime
{
    private readonly TcpRelay _relay = new();
    private readonly StarlightProxyClient _client = new();
    private RunningProxy _proxy = null!;
    private ProxyProfile _profile = null!;

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync();
        _relay.TargetPort = _proxy.Address.Port;
        _profile = ProxyProfile.Create("p", "http", $"127.0.0.1:{_relay.Port}", user: null, password: null).Value;
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _relay.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Fact]
    public async Task Start_Always_OpensThemAndRequestsUseThem()
    {
        await using WarmConnections warm = Start(3);

        await Probe.UntilAsync(() => _relay.Requests.Count >= 3, "each connection has carried something");
        await _client.PingAsync(_profile, CancellationToken.None);

        _relay.Connections.ShouldBe(3);
        _relay.Requests.Count(r => r == "GET /starlight/prime?bytes=0").ShouldBe(3);
    }

    [Fact]
    public async Task Start_WhenNoneAreWanted_DoesNothing()
    {
        await using WarmConnections warm = Start(0);

        await _client.PingAsync(_profile, CancellationToken.None);

        _relay.Requests.ShouldAllBe(r => r.StartsWith("GET /health-check", StringComparison.Ordinal));
    }

    [Fact]
    public async Task LostConnections_AreMadeAnew()
    {
        await using WarmConnections warm = Start(2, new InstantTime());
        await Probe.UntilAsync(() => _relay.Requests.Count >= 2, "both are open");

        _relay.Rule = new RelayRule { CutAfter = 0 };
        await Should.ThrowAsync<FailureException>(() => _client.PingAsync(_profile, CancellationToken.None));
        int before = _relay.Connections;
        _relay.Rule = RelayRule.None;

        await Probe.UntilAsync(() => _relay.Connections > before, "another one takes its place");
    }

    /// <summary>A pull must not share the line with what is only in preparation for one.</summary>
    [Fact]
    public void TakeCold_WhileSomebodyUsesTheLine_GivesNone()
    {
        ProxyLine line = _client.LineTo(_profile);
        ProxyLane used = line.Take();
        line.TakeCold(3).ShouldBeNull();

        line.Return(used);

        ProxyLane? cold = line.TakeCold(3);
        cold.ShouldNotBeNull();
        line.Return(cold);
    }

    /// <summary>What it has learned is worth more than the wait.</summary>
    [Fact]
    public async Task Take_WhileAConnectionIsWarmed_WaitsForThatOneAndInterrupts()
    {
        ProxyLine line = _client.LineTo(_profile);
        ProxyLane cold = line.TakeCold(3)!;
        line.IsContended.ShouldBeFalse();

        Task<ProxyLane> taking = line.TakeAsync(CancellationToken.None);

        line.IsContended.ShouldBeTrue("whoever warms has to stop");
        taking.IsCompleted.ShouldBeFalse();
        await cold.Http.GetByteArrayAsync(new Uri(_profile.Endpoint, "starlight/prime?bytes=1000"));
        line.Return(cold);
        (await taking).ShouldBe(cold);
        line.TakeCold(3).ShouldBeNull();
        line.Return(cold);
    }

    [Fact]
    public async Task Take_AfterRequests_GivesTheConnectionThatHasCarriedMost()
    {
        ProxyLine line = _client.LineTo(_profile);
        ProxyLane[] lanes = [line.Take(), line.Take()];
        await lanes[0].Http.GetByteArrayAsync(new Uri(_profile.Endpoint, "starlight/prime?bytes=100000"));
        await lanes[1].Http.GetByteArrayAsync(new Uri(_profile.Endpoint, "starlight/prime?bytes=200000"));
        line.Return(lanes[1]);
        line.Return(lanes[0]);

        line.Take().ShouldBe(lanes[1]);
        line.RoundTrip.ShouldBeInRange(TimeSpan.FromMicroseconds(1), TimeSpan.FromSeconds(1));
        line.Return(lanes[1]);
    }

    /// <summary>A pull that comes before the first one is warm finds as many as it takes.</summary>
    [Fact]
    public async Task Warm_OnALongLine_OpensThoseForPartsAndClosesThemWhenTheyAreOfNoUse()
    {
        using StarlightProxyClient client = new() { Stripes = 4, ShortestStriped = TimeSpan.Zero };
        ProxyLine line = client.LineTo(_profile);

        (await client.WarmAsync(_profile, line, line.TakeCold(1)!, CancellationToken.None)).ShouldBeTrue();

        _relay.Connections.ShouldBe(5, "one is warm, four for the parts of a bundle");
        line.TakeForStripes(4, TimeSpan.Zero).ShouldBeNull("one is warm");
        line.DropCold(1);
        ProxyLane only = line.Take();
        only.IsWarm.ShouldBeTrue();
        line.Take().IsOpen.ShouldBeFalse("the others are closed");
    }

    [Fact]
    public async Task Warm_OnAShortLine_OpensNoMore()
    {
        using StarlightProxyClient client = new() { Stripes = 4 };
        ProxyLine line = client.LineTo(_profile);

        (await client.WarmAsync(_profile, line, line.TakeCold(1)!, CancellationToken.None)).ShouldBeTrue();

        _relay.Requests.ShouldBe(["GET /starlight/prime?bytes=0"]);
    }

    [Fact]
    public async Task TakeForStripes_WhenNothingIsWarm_GivesWhatIsOpenFirst()
    {
        ProxyLine line = _client.LineTo(_profile);
        ProxyLane[] lanes = [line.Take(), line.Take()];
        await lanes[0].Http.GetByteArrayAsync(new Uri(_profile.Endpoint, "starlight/prime?bytes=1000"));
        await lanes[1].Http.GetByteArrayAsync(new Uri(_profile.Endpoint, "starlight/prime?bytes=2000"));
        line.Return(lanes[0]);
        line.TakeForStripes(4, TimeSpan.Zero).ShouldBeNull("somebody uses the line");
        line.Return(lanes[1]);

        line.TakeForStripes(1, TimeSpan.Zero).ShouldBeNull("that is one");
        line.TakeForStripes(4, TimeSpan.FromHours(1)).ShouldBeNull("the line is known to be shorter");
        IReadOnlyList<ProxyLane>? taken = line.TakeForStripes(4, TimeSpan.Zero);

        taken.ShouldNotBeNull();
        taken.Select(l => l.Received > 0).ShouldBe([true, true, false, false]);
        taken[0].ShouldBe(lanes[1]);
        line.TakeCold(1).ShouldBeNull("a pull uses the line");
    }

    /// <summary>Versions before this one have no such endpoint: their connections are kept open all the same.</summary>
    [Fact]
    public async Task Warm_WhenTheProxyIsOlder_LeavesTheConnectionOpen()
    {
        ProxyProfile older = ProxyProfile.Create("p", "http", $"127.0.0.1:{_relay.Port}/no/such/path", user: null, password: null).Value;
        ProxyLine line = _client.LineTo(older);
        ProxyLane lane = line.TakeCold(1)!;

        (await _client.WarmAsync(older, line, lane, CancellationToken.None)).ShouldBeTrue();

        lane.IsOpen.ShouldBeTrue();
        line.TakeCold(1).ShouldBeNull("there is nothing more to be done for it");
    }

    [Fact]
    public async Task Answer_ThatIsNotReadToItsEnd_DoesNotHoldUpTheNextRequest()
    {
        ProxyLine line = _client.LineTo(_profile);
        _relay.Rule = new RelayRule { HoldAfter = 300_000 };
        ProxyLane lane = line.Take();
        using (HttpResponseMessage held = await lane.Http.GetAsync(new Uri(_profile.Endpoint, "starlight/prime?bytes=4000000"), HttpCompletionOption.ResponseHeadersRead))
        {
            held.StatusCode.ShouldBe(HttpStatusCode.OK);
        }

        line.Return(lane);
        _relay.Rule = RelayRule.None;

        await _client.PingAsync(_profile, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(10));
    }

    private WarmConnections Start(int count, TimeProvider? time = null)
    {
        WarmConnections warm = new(_client, new OneProfile(_profile), count, time ?? TimeProvider.System, NullLogger<WarmConnections>.Instance);
        warm.Start();
        return warm;
    }

    private sealed class OneProfile(ProxyProfile profile) : IProxyProfiles
    {
        public string? DefaultName => profile.Name;

        public IReadOnlyList<ProxyProfile> List() => [profile];

        public Result<ProxyProfile> Find(string? name) => profile;

        public void Save(ProxyProfile profile) => throw new NotSupportedException();
    }
}
