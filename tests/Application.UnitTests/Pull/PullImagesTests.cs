using Microsoft.Extensions.Logging.Abstractions;
using NSubstitute;
using NSubstitute.ExceptionExtensions;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Worker;
using Starlight.Application.Pull;
using Starlight.Application.Snapshots;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.UnitTests.Pull;

/// <summary>The flow of a pull and, above all, what is undone when a step fails.</summary>
public sealed class PullImagesTests
{
    private static readonly ImageReference Wanted = ImageReference.Parse("reg.example.com/app:2").Value;
    private static readonly BaseImage Older = new(ImageReference.Parse("reg.example.com/app:1").Value, Digest.Of("v1"u8));
    private static readonly ProxyProfile Profile = ProxyProfile.Create("p", "http", "proxy", null, null).Value;

    private readonly IProxyProfiles _profiles = Substitute.For<IProxyProfiles>();
    private readonly IProxyClient _proxies = Substitute.For<IProxyClient>();
    private readonly IWorkerImages _library = Substitute.For<IWorkerImages>();
    private readonly IContainerRuntime _containerd = Substitute.For<IContainerRuntime>();
    private readonly IContainerImages _namespace = Substitute.For<IContainerImages>();
    private readonly IContainerLease _lease = Substitute.For<IContainerLease>();
    private readonly IIncomingBundle _bundle = Substitute.For<IIncomingBundle>();
    private readonly IImageReception _reception = Substitute.For<IImageReception>();
    private readonly TaskCompletionSource<Result> _received = new();
    private readonly ISnapshotStore _records = Substitute.For<ISnapshotStore>();
    private readonly IProvidedImages _provided = Substitute.For<IProvidedImages>();
    private readonly SnapshotService _snapshots;

    public PullImagesTests()
    {
        _snapshots = new SnapshotService(_records, Substitute.For<ISnapshotDirectories>(), _provided, Substitute.For<IContainerTraces>(), TimeProvider.System, NullLogger<SnapshotService>.Instance);
        Provided(true);
        _profiles.Find(default).ReturnsForAnyArgs(Profile);
        _library.SupportsEarlyStart.Returns(true);
        _library.FindBases(default!, default!).ReturnsForAnyArgs([Older]);
        _bundle.Images.Returns([SampleImage.Good()]);
        _bundle.ImageContents.Returns([[new ContentRef(Digest.Of("a"u8), 10), new ContentRef(Digest.Of("b"u8), 5)]]);
        _bundle.Contents.Returns([new ContentRef(Digest.Of("a"u8), 10)]);
        _proxies.RequestDeltaAsync(default!, default!, default).ReturnsForAnyArgs(_bundle);
        _library.BeginAsync(default!, default!, default!, default!, default).ReturnsForAnyArgs(Result<IImageReception>.Success(_reception));
        _reception.Completion.Returns(_received.Task);
        _containerd.OpenNamespaceAsync(default!, default).ReturnsForAnyArgs(_namespace);
        _namespace.BeginLeaseAsync(default, default).ReturnsForAnyArgs(_lease);
        _namespace.FindImageAsync(default!, default).ReturnsForAnyArgs((ContainerImage?)null);
        _lease.PrepareRemoteSnapshotAsync(default!, default).ReturnsForAnyArgs(true);
    }

    [Fact]
    public async Task Handle_WhenContentsAreStillOnTheWay_ReturnsAtOnceWithWhatIsSaved()
    {
        PullReport report = (await PullAsync()).Value;

        report.Complete.ShouldBeFalse();
        report.LayerBytes.ShouldBe(100);
        report.ContentBytes.ShouldBe(15);
        report.SentContentBytes.ShouldBe(10);
        report.Bases.ShouldBe([Older]);
        await _lease.Received().SetImageAsync(Arg.Is<ContainerImage>(i => i.Name == Wanted.ToString()), Arg.Any<CancellationToken>());
    }

    [Fact]
    public async Task Handle_WhenTold_WaitsForTheContents()
    {
        Task<Result<PullReport>> pull = PullAsync(wait: true);
        pull.IsCompleted.ShouldBeFalse();

        _received.SetResult(Result.Success);

        (await pull).Value.Complete.ShouldBeTrue();
    }

    [Fact]
    public async Task Handle_WhenContainersCannotStartEarly_WaitsAndSaysSo()
    {
        _library.SupportsEarlyStart.Returns(false);
        _reception.Progress.Returns(new ReceptionProgress(1, 10, 0, 1), new ReceptionProgress(1, 10, 0, 1), new ReceptionProgress(10, 10, 1, 1, Building: true));
        List<string> messages = [];
        IProgress<PullProgress> progress = Substitute.For<IProgress<PullProgress>>();
        progress.When(p => p.Report(Arg.Any<PullProgress>())).Do(call =>
        {
            lock (messages)
            {
                messages.Add(call.Arg<PullProgress>().Message);
            }
        });
        Task<Result<PullReport>> pull = PullAsync(progress: progress);
        await Starlight.TestKit.Probe.UntilAsync(() => Said("building the directory tree"), "the pull tells what it does");
        pull.IsCompleted.ShouldBeFalse();

        _received.SetResult(Result.Success);

        (await pull).Value.Complete.ShouldBeTrue();
        Said("containers cannot start before").ShouldBeTrue();

        bool Said(string words)
        {
            lock (messages)
            {
                return messages.Exists(m => m.Contains(words, StringComparison.Ordinal));
            }
        }
    }

    [Fact]
    public async Task Handle_WhenWaitedForContentsFail_TakesTheImageBack()
    {
        Error cause = new("Bundle.Corrupt", "damaged", ErrorKind.DataCorrupt);
        _received.SetResult(cause);
        _namespace.FindImageAsync(default!, default).ReturnsForAnyArgs(null, new ContainerImage(Wanted.ToString(), Target(), new Dictionary<string, string>()));

        FailureException failure = await Should.ThrowAsync<FailureException>(() => PullAsync(wait: true));

        failure.Error.ShouldBe(cause);
        await _namespace.Received().DeleteImageAsync(Wanted.ToString(), true, Arg.Any<CancellationToken>());
        await _reception.Received().AbandonAsync();
    }

    [Fact]
    public async Task Handle_WhenTheNameStoodForAnotherImage_FailurePutsThatBack()
    {
        ContainerImage before = new(Wanted.ToString(), new Descriptor(MediaTypes.OciManifest, Digest.Of("older"u8), 1), new Dictionary<string, string>());
        _namespace.FindImageAsync(default!, default).ReturnsForAnyArgs(before);
        _lease.SetImageAsync(default!, default).ThrowsAsyncForAnyArgs(new FailureException(new Error("Containerd.ConnectionLost", "gone", ErrorKind.Unavailable)));

        await Should.ThrowAsync<FailureException>(() => PullAsync());

        await _namespace.Received().SetImageAsync(before, Arg.Any<CancellationToken>());
        await _reception.Received().AbandonAsync();
    }

    [Fact]
    public async Task Handle_WhenAnotherPullHasTheImageToo_FailureLeavesItThatPull()
    {
        Error cause = new("Bundle.Corrupt", "damaged", ErrorKind.DataCorrupt);
        _received.SetResult(cause);
        _namespace.FindImageAsync(default!, default).ReturnsForAnyArgs(new ContainerImage(Wanted.ToString(), Target(), new Dictionary<string, string>()));
        _reception.Claim(default!).ReturnsForAnyArgs(true);

        await Should.ThrowAsync<FailureException>(() => PullAsync(wait: true));

        await _namespace.DidNotReceiveWithAnyArgs().DeleteImageAsync(default!, default, default);
        await _namespace.DidNotReceiveWithAnyArgs().SetImageAsync(default!, default);
        await _reception.Received().AbandonAsync();
    }

    [Fact]
    public async Task Handle_WhenTheOtherPullOfTheImageFailedBefore_FailureTakesTheImageBack()
    {
        _received.SetResult(new Error("Bundle.Corrupt", "damaged", ErrorKind.DataCorrupt));
        _namespace.FindImageAsync(default!, default).ReturnsForAnyArgs(new ContainerImage(Wanted.ToString(), Target(), new Dictionary<string, string>()));
        _reception.Claim(default!).ReturnsForAnyArgs(true, false);

        await Should.ThrowAsync<FailureException>(() => PullAsync(wait: true));

        await _namespace.Received().DeleteImageAsync(Wanted.ToString(), true, Arg.Any<CancellationToken>());
    }

    [Fact]
    public async Task Handle_WhenTheSnapshotsAreMade_SettlesBeforeSurplusIsFreed()
    {
        Provided(false);
        _provided.ReleaseAsync(default!, default).ReturnsForAnyArgs(_ =>
        {
            _reception.Received().Settle();
            return Task.CompletedTask;
        });

        (await PullAsync()).IsSuccess.ShouldBeTrue();

        await _provided.ReceivedWithAnyArgs().ReleaseAsync(default!, default);
    }

    [Fact]
    public async Task Handle_WhenContainerdIsDown_FetchesNothing()
    {
        _containerd.RequireSnapshotterAsync(default!, default).ThrowsAsyncForAnyArgs(new FailureException(new Error("Containerd.NotRunning", "down", ErrorKind.Unavailable)));

        await Should.ThrowAsync<FailureException>(() => PullAsync());

        await _proxies.DidNotReceiveWithAnyArgs().RequestDeltaAsync(default!, default!, default);
    }

    [Theory]
    [InlineData("Bundle.BaseUnknown")]
    [InlineData("Bundle.BaseIncomplete")]
    public async Task Handle_WhenABaseIsOfNoUse_AsksForTheWholeImage(string code)
    {
        _library.BeginAsync(default!, Arg.Is<DeltaRequest>(d => d.Bases.Count > 0), default!, default!, default)
            .ReturnsForAnyArgs(new Error(code, "unknown", ErrorKind.FailedPrecondition), Result<IImageReception>.Success(_reception));

        PullReport report = (await PullAsync()).Value;

        report.Bases.ShouldBeEmpty();
        await _proxies.Received(1).RequestDeltaAsync(Profile, Arg.Is<DeltaRequest>(d => d.Bases.Count == 0), Arg.Any<CancellationToken>());
    }

    [Fact]
    public async Task Handle_WhenTheProxyDoesNotKnowSomeBases_BuildsUponTheOthers()
    {
        BaseImage collected = Older with { ManifestDigest = Digest.Of("collected"u8) };
        _library.FindBases(default!, default!).ReturnsForAnyArgs([collected, Older]);
        _proxies.RequestDeltaAsync(default!, Arg.Is<DeltaRequest>(d => d.Bases.Contains(collected)), default).ThrowsAsyncForAnyArgs(Unknown(collected));
        _proxies.RequestDeltaAsync(Arg.Any<ProxyProfile>(), Arg.Is<DeltaRequest>(d => !d.Bases.Contains(collected)), Arg.Any<CancellationToken>()).Returns(_bundle);

        (await PullAsync()).Value.Bases.ShouldBe([Older]);

        await _proxies.ReceivedWithAnyArgs(2).RequestDeltaAsync(default!, default!, default);
    }

    [Fact]
    public async Task Handle_WhenTheProxyKeepsFindingUnknownBases_GivesUpOnThem()
    {
        BaseImage other = Older with { ManifestDigest = Digest.Of("other"u8) };
        _library.FindBases(default!, default!).ReturnsForAnyArgs([other, Older]);
        _proxies.RequestDeltaAsync(default!, default!, default).ThrowsAsyncForAnyArgs(Unknown(other));
        _proxies.RequestDeltaAsync(Arg.Any<ProxyProfile>(), Arg.Is<DeltaRequest>(d => d.Bases.Count == 0), Arg.Any<CancellationToken>()).Returns(_bundle);

        (await PullAsync()).Value.Bases.ShouldBeEmpty();

        await _proxies.ReceivedWithAnyArgs(3).RequestDeltaAsync(default!, default!, default);
    }

    [Fact]
    public async Task Handle_WhenTheNamedBaseIsUnknown_DoesNotGuess()
    {
        _library.FindBase(default!).ReturnsForAnyArgs(new Error("Image.BaseUnknown", "unknown", ErrorKind.NotFound));

        (await PullAsync(Older.Reference)).Error!.Code.ShouldBe("Image.BaseUnknown");

        await _proxies.DidNotReceiveWithAnyArgs().RequestDeltaAsync(default!, default!, default);
    }

    [Fact]
    public async Task Handle_WhenTheProxySendsAnotherImage_DropsTheBundle()
    {
        _bundle.Images.Returns([SampleImage.Bundle(SampleImage.Manifest(SampleImage.Config()), SampleImage.Config("arm64"))]);

        (await PullAsync()).Error!.Code.ShouldBe("Image.Mismatch");

        await _bundle.Received().DisposeAsync();
        await _library.DidNotReceiveWithAnyArgs().BeginAsync(default!, default!, default!, default!, default);
    }

    [Fact]
    public async Task Handle_WhenTheSnapshotterRefusesALayer_Fails()
    {
        _lease.PrepareRemoteSnapshotAsync(default!, default).ReturnsForAnyArgs(false);

        (await Should.ThrowAsync<FailureException>(() => PullAsync())).Error.Code.ShouldBe("Pull.SnapshotRefused");

        await _reception.Received().AbandonAsync();
    }

    [Fact]
    public async Task Handle_WhenContainerdHasUnpackedTheImage_KeepsThatAndFreesWhatItBrought()
    {
        Provided(false);

        PullReport report = (await PullAsync(wait: true)).Value;

        report.Images.Single().Unpacked.ShouldBeTrue();
        report.Complete.ShouldBeTrue();
        report.SentContentBytes.ShouldBe(0);
        _reception.DidNotReceive().Start();
        await _lease.Received().SetImageAsync(Arg.Any<ContainerImage>(), Arg.Any<CancellationToken>());
        await _provided.Received(report.Images.Single().Layers).ReleaseAsync(Arg.Any<string>(), Arg.Any<CancellationToken>());
    }

    [Fact]
    public async Task Handle_WhenTheImageIsProvided_FreesNothingOfIt()
    {
        (await PullAsync()).Value.Images.Single().Unpacked.ShouldBeFalse();

        _reception.Received().Start();
        await _provided.DidNotReceiveWithAnyArgs().ReleaseAsync(default!, default);
    }

    private static FailureException Unknown(BaseImage image) =>
        new(new Error("Bundle.BaseUnknown", "unknown", ErrorKind.FailedPrecondition) { Subjects = [image.Reference.WithDigest(image.ManifestDigest).ToString()] });

    private void Provided(bool all) => _records.Read(Arg.Any<Func<ISnapshotReader, bool>>()).Returns(all);

    private static Descriptor Target() => new(MediaTypes.OciManifest, Digest.Of(SampleImage.Manifest(SampleImage.Config())), 1);

    private Task<Result<PullReport>> PullAsync(ImageReference? named = null, bool wait = false, IProgress<PullProgress>? progress = null) =>
        new PullImagesHandler(
                _profiles,
                new ImageFetch(_proxies, _library, NullLogger<ImageFetch>.Instance),
                _library,
                new ImageRegistrar(_containerd, NullLogger<ImageRegistrar>.Instance),
                _snapshots,
                TimeProvider.System)
            .Handle(new PullImagesCommand([Wanted], named, null, "default", new Platform("linux", "amd64"), wait, progress), CancellationToken.None);
}
