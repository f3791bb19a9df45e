using Microsoft.Extensions.Logging.Abstractions;
using NSubstitute;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Worker;
using Starlight.Application.OnDemand;
using Starlight.Application.Pull;
using Starlight.Application.UnitTests.Pull;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;
using Starlight.TestKit;

namespace Starlight.Application.UnitTests.OnDemand;

/// <summary>Who asks the proxy, how often, and what an answer means. The image has three layers.</summary>
public sealed class RemoteLayersTests : IAsyncDisposable
{
    private const int Layers = 3;

    private static readonly byte[] Config = SampleImage.Config(layers: Layers);
    private static readonly byte[] Manifest = SampleImage.Manifest(Config, layers: Layers);
    private static readonly IReadOnlyList<Digest> Chain = ImageConfig.Parse(Config).Value.ChainIds();
    private static readonly Error Unknown = new("Image.NotIndexed", "notify it first", ErrorKind.NotFound);

    private readonly IProvidedImages _library = Substitute.For<IProvidedImages>();
    private readonly IWorkerImages _images = Substitute.For<IWorkerImages>();
    private readonly IProxyProfiles _profiles = Substitute.For<IProxyProfiles>();
    private readonly IProxyClient _proxy = Substitute.For<IProxyClient>();
    private readonly IIncomingBundle _bundle = Substitute.For<IIncomingBundle>();
    private readonly IImageReception _reception = Substitute.For<IImageReception>();
    private readonly InstantTime _time = new();
    private readonly List<DeltaRequest> _asked = [];
    private readonly RemoteLayers _layers;

    /// <summary>What the proxy does with a request; by default it sends the image.</summary>
    private Func<CancellationToken, Task<IIncomingBundle>> _answer;
    private volatile bool _here;

    public RemoteLayersTests()
    {
        _answer = _ => Task.FromResult(_bundle);
        _profiles.Find(default).ReturnsForAnyArgs(ProxyProfile.Create("p", "http", "proxy", null, null).Value);
        _images.FindBases(default!, default!).ReturnsForAnyArgs([]);
        _images.SupportsEarlyStart.Returns(true);
        _bundle.Images.Returns([SampleImage.Bundle(Manifest, Config)]);
        _bundle.ImageContents.Returns([[]]);
        _bundle.Contents.Returns([]);
        _proxy.RequestDeltaAsync(default!, default!, default).ReturnsForAnyArgs(call =>
        {
            lock (_asked)
            {
                _asked.Add(call.Arg<DeltaRequest>());
            }

            return _answer(call.Arg<CancellationToken>());
        });
        _images.BeginAsync(default!, default!, default!, default!, default).ReturnsForAnyArgs(_ =>
        {
            _here = true;
            return Result<IImageReception>.Success(_reception);
        });
        _library.ProvidesAsync(default!, default).ReturnsForAnyArgs(_ => Task.FromResult(_here));
        _layers = new RemoteLayers(
            _library, _images, new ImageFetch(_proxy, _images, NullLogger<ImageFetch>.Instance), _profiles, _time, NullLogger<RemoteLayers>.Instance);
    }

    public ValueTask DisposeAsync() => _layers.DisposeAsync();

    [Fact]
    public async Task Provides_TheFirstLayerOfAnUnknownImage_PullsItAndStartsItsReception()
    {
        (await AskAsync(0)).ShouldBeTrue();

        _asked.ShouldHaveSingleItem().Images.ShouldHaveSingleItem().ToString().ShouldBe($"reg.example.com/app:1@{Digest.Of(Manifest)}");
        _asked[0].AnswerWithin.ShouldNotBeNull();
        _reception.Received(1).Start();
    }

    [Fact]
    public async Task Provides_WhereContainersCannotStartEarly_AnswersWhenTheyCan()
    {
        TaskCompletionSource<Result> received = new();
        _reception.Completion.Returns(received.Task);
        _images.SupportsEarlyStart.Returns(false);
        Task<bool> question = AskAsync(0);
        await Probe.UntilAsync(() => _here, "the image is being received");
        question.IsCompleted.ShouldBeFalse();

        received.SetResult(Result.Success);

        (await question).ShouldBeTrue();
    }

    [Fact]
    public async Task Provides_WhereContainersCannotStartEarly_TakesBackWhatFailedToArrive()
    {
        _reception.Completion.Returns(Task.FromResult<Result>(new Error("Bundle.Corrupt", "damaged", ErrorKind.DataCorrupt)));
        _reception.AbandonAsync().Returns(_ =>
        {
            _here = false;
            return Task.CompletedTask;
        });
        _images.SupportsEarlyStart.Returns(false);

        (await AskAsync(0)).ShouldBeFalse("containerd is to unpack the layer");
    }

    [Fact]
    public async Task Provides_AllLayersAtOnce_AsksOnce()
    {
        TaskCompletionSource<IIncomingBundle> answer = new();
        _answer = _ => answer.Task;
        Task<bool>[] questions = [.. Enumerable.Range(0, 60).Select(i => AskAsync(i % Layers))];
        await Probe.UntilAsync(() => _asked.Count > 0, "the proxy is asked");
        questions.ShouldAllBe(q => !q.IsCompleted);

        answer.SetResult(_bundle);

        (await Task.WhenAll(questions)).ShouldAllBe(provided => provided);
        _asked.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Provides_ALayerThatTheLibraryHas_AsksNobody()
    {
        _here = true;

        (await AskAsync(1)).ShouldBeTrue();

        _asked.ShouldBeEmpty();
    }

    [Fact]
    public async Task Provides_WithoutLabels_AsksNobody()
    {
        (await _layers.ProvidesAsync(new RemoteLayerRequest(Chain[0].ToString(), null, new Dictionary<string, string>()), default)).ShouldBeFalse();

        _asked.ShouldBeEmpty();
    }

    [Fact]
    public async Task Provides_WhenTheProxyDoesNotKnowTheImage_AsksOnceForAllLayers()
    {
        Refuse(Unknown);

        for (int layer = 0; layer < Layers; layer++)
        {
            (await AskAsync(layer)).ShouldBeFalse();
        }

        _asked.Count.ShouldBe(1);
        await _images.DidNotReceiveWithAnyArgs().BeginAsync(default!, default!, default!, default!, default);
    }

    [Fact]
    public async Task Provides_AfterARefusal_AsksAgainForTheNextPullAndInTheMiddleOfALongOne()
    {
        Refuse(Unknown);
        await AskAsync(0);
        await AskAsync(0);
        _asked.Count.ShouldBe(2, "the lowest layer begins a pull");
        await AskAsync(1);
        _asked.Count.ShouldBe(2);

        _time.Advance(TimeSpan.FromSeconds(31));
        _answer = _ => Task.FromResult(_bundle);

        (await AskAsync(1)).ShouldBeTrue();
        _asked.Count.ShouldBe(3);
    }

    [Theory]
    [InlineData("Proxy.Unreachable", ErrorKind.Unavailable)]
    [InlineData("Proxy.Unauthenticated", ErrorKind.Unauthenticated)]
    [InlineData("Proxy.Forbidden", ErrorKind.PermissionDenied)]
    [InlineData("Image.Conflict", ErrorKind.FailedPrecondition)]
    [InlineData("Bundle.Corrupt", ErrorKind.DataCorrupt)]
    public async Task Provides_WhenTheProxyFails_IsNoFailure(string code, ErrorKind kind)
    {
        Refuse(new Error(code, "no", kind));

        (await AskAsync(0)).ShouldBeFalse();
        (await AskAsync(1)).ShouldBeFalse();

        _asked.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Provides_WithoutAProfile_IsNotProvided()
    {
        _profiles.Find(default).ReturnsForAnyArgs(new Error("Proxy.NoProfile", "none", ErrorKind.FailedPrecondition));

        (await AskAsync(0)).ShouldBeFalse();

        _asked.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(1, null)] // not on its parent
    [InlineData(0, "sha256:x")]
    [InlineData(2, "0")]
    public async Task Provides_WhenTheLayerIsNotTheImagesOnThatParent_DropsTheBundle(int layer, string? parent)
    {
        string? parentChain = parent == "0" ? Chain[0].ToString() : parent;

        (await _layers.ProvidesAsync(new RemoteLayerRequest(Chain[layer].ToString(), parentChain, Labels()), default)).ShouldBeFalse();

        await _bundle.Received(1).DisposeAsync();
        await _images.DidNotReceiveWithAnyArgs().BeginAsync(default!, default!, default!, default!, default);
    }

    [Fact]
    public async Task Provides_WhenTheProxySendsAnotherManifestThanTheOneUnpacked_DropsTheBundle()
    {
        byte[] other = SampleImage.Config("amd64", layers: 1);
        _bundle.Images.Returns([SampleImage.Bundle(SampleImage.Manifest(other), other)]);

        (await AskAsync(0)).ShouldBeFalse();

        await _bundle.Received(1).DisposeAsync();
    }

    [Fact]
    public async Task Provides_WhenTheFirstToAskGoesAway_TheOthersStillGetTheImage()
    {
        TaskCompletionSource<IIncomingBundle> answer = new();
        _answer = _ => answer.Task;
        using CancellationTokenSource first = new();
        Task<bool> leaving = AskAsync(0, first.Token);
        await Probe.UntilAsync(() => _asked.Count > 0, "the proxy is asked");
        Task<bool> staying = AskAsync(0);
        await first.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => leaving);

        answer.SetResult(_bundle);

        (await staying).ShouldBeTrue();
        _asked.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Provides_AfterTheImageWasRemoved_PullsItAgain()
    {
        await AskAsync(0);
        _here = false;

        (await AskAsync(1)).ShouldBeTrue();

        _asked.Count.ShouldBe(2);
    }

    [Fact]
    public async Task Dispose_EndsRunningPulls()
    {
        _answer = async token =>
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, token);
            return _bundle;
        };
        Task<bool> question = AskAsync(0);
        await Probe.UntilAsync(() => _asked.Count > 0, "the proxy is asked");

        await _layers.DisposeAsync();

        (await question).ShouldBeFalse();
    }

    private static Dictionary<string, string> Labels() => new()
    {
        ["containerd.io/snapshot/cri.image-ref"] = "reg.example.com/app:1",
        ["containerd.io/snapshot/cri.manifest-digest"] = Digest.Of(Manifest).ToString(),
    };

    private void Refuse(Error error) => _answer = _ => Task.FromException<IIncomingBundle>(new FailureException(error));

    private Task<bool> AskAsync(int layer, CancellationToken cancellationToken = default) =>
        _layers.ProvidesAsync(new RemoteLayerRequest(Chain[layer].ToString(), layer == 0 ? null : Chain[layer - 1].ToString(), Labels()), cancellationToken);
}
