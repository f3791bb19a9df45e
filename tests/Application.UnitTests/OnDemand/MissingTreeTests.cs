using Microsoft.Extensions.Logging.Abstractions;
using NSubstitute;
using NSubstitute.ExceptionExtensions;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Worker;
using Starlight.Application.OnDemand;
using Starlight.Application.Pull;
using Starlight.Application.UnitTests.Pull;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.UnitTests.OnDemand;

/// <summary>The lower layers of a provided image, on which somebody else wants to stand.</summary>
public sealed class MissingTreeTests
{
    private static readonly ProxyProfile Profile = ProxyProfile.Create("p", "http", "proxy", null, null).Value;
    private static readonly RootFilesystemLayers Layers = new("/metadata", null, "/objects");
    private static readonly Digest Chain = SampleImage.DiffId;

    private readonly IProvidedImages _local = Substitute.For<IProvidedImages>();
    private readonly IWorkerImages _library = Substitute.For<IWorkerImages>();
    private readonly IProxyProfiles _profiles = Substitute.For<IProxyProfiles>();
    private readonly IProxyClient _proxies = Substitute.For<IProxyClient>();
    private readonly IIncomingBundle _bundle = Substitute.For<IIncomingBundle>();
    private readonly IImageReception _reception = Substitute.For<IImageReception>();
    private readonly MissingTrees _images;
    private ChainSource? _missing;

    public MissingTreeTests()
    {
        byte[] config = SampleImage.Config(layers: 2);
        byte[] manifest = SampleImage.Manifest(config, Digest.Of("whole"u8), layers: 2);
        _missing = new ChainSource("p", ImageReference.Parse("reg.example.com/app:1").Value.WithDigest(Digest.Of(manifest)), new Platform("linux", "amd64"), 1);
        _local.AttachAsync(default!, default!, default, default).ReturnsForAnyArgs(Layers);
        _library.FindMissingTree(Chain).Returns(_ => _missing);
        _library.FindBases(default!, default!).ReturnsForAnyArgs([]);
        _profiles.Find("p").Returns(Profile);
        _bundle.Images.Returns([SampleImage.Bundle(manifest, config)]);
        _bundle.ImageContents.Returns([[]]);
        _bundle.Contents.Returns([]);
        _proxies.RequestDeltaAsync(default!, default!, default).ReturnsForAnyArgs(_bundle);
        _library.BeginAsync(default!, default!, default!, default!, default).ReturnsForAnyArgs(_ =>
        {
            _missing = null;
            return Result<IImageReception>.Success(_reception);
        });
        ImageFetch fetch = new(_proxies, _library, NullLogger<ImageFetch>.Instance);
        _images = new MissingTrees(_local, _library, new ChainFetch(_library, _profiles, fetch, NullLogger<ChainFetch>.Instance));
    }

    [Fact]
    public async Task Attach_WhenTheTreeIsHere_AsksNobody()
    {
        _missing = null;

        (await AttachAsync()).Value.ShouldBe(Layers);

        await _proxies.DidNotReceiveWithAnyArgs().RequestDeltaAsync(default!, default!, default);
    }

    [Fact]
    public async Task Attach_WhenTheTreeIsMissing_FetchesItOnceForAll()
    {
        Result<RootFilesystemLayers>[] attached = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => AttachAsync()));

        attached.ShouldAllBe(a => a.IsSuccess);
        await _proxies.Received(1).RequestDeltaAsync(Profile, Arg.Is<DeltaRequest>(r => r.Layers == 1 && r.Images.Count == 1), Arg.Any<CancellationToken>());
        _reception.Received(1).Start();
    }

    [Fact]
    public async Task Attach_WhenTheProfileIsGone_AsksTheDefault()
    {
        ProxyProfile other = ProxyProfile.Create("other", "http", "elsewhere", null, null).Value;
        _profiles.Find("p").Returns(new Error("Proxy.ProfileUnknown", "gone", ErrorKind.NotFound));
        _profiles.Find(null).Returns(other);

        (await AttachAsync()).IsSuccess.ShouldBeTrue();

        await _proxies.Received(1).RequestDeltaAsync(other, Arg.Any<DeltaRequest>(), Arg.Any<CancellationToken>());
    }

    [Fact]
    public async Task Attach_WhenTheProxyIsAway_SaysWhatIsMissing()
    {
        _proxies.RequestDeltaAsync(default!, default!, default).ThrowsAsyncForAnyArgs(new FailureException(new Error("Proxy.Unreachable", "the proxy p cannot be reached", ErrorKind.Unavailable)));

        Error error = (await AttachAsync()).Error!;

        error.Kind.ShouldBe(ErrorKind.Unavailable);
        error.Message.ShouldContain("reg.example.com/app:1");
        error.Message.ShouldContain("cannot be reached");
        await _local.DidNotReceiveWithAnyArgs().AttachAsync(default!, default!, default, default);
    }

    [Fact]
    public async Task Attach_WhenAnotherTreeComes_TakesItBack()
    {
        _library.FindMissingTree(default).ReturnsForAnyArgs(_ => _missing);

        Error error = (await _images.AttachAsync(Digest.Of("another chain"u8).ToString(), "key", inOneDirectory: false, CancellationToken.None)).Error!;

        error.Code.ShouldBe("Image.Mismatch");
        await _bundle.Received().DisposeAsync();
        await _library.DidNotReceiveWithAnyArgs().BeginAsync(default!, default!, default!, default!, default);
    }

    private Task<Result<RootFilesystemLayers>> AttachAsync() => _images.AttachAsync(Chain.ToString(), "key", inOneDirectory: false, CancellationToken.None);
}
