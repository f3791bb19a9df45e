using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.ProxyClient;
using Starlight.Infrastructure.Tracing;
using Starlight.Infrastructure.WorkerImages;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>A worker's library in the mode that needs no mounts, and a proxy that sends what a test tells it to.</summary>
internal sealed class LibraryRig : IAsyncDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly StarlightProxyClient _client = new(new ErofsFilesystemImages());
    private readonly TimeProvider _time;
    private ContainerTraces? _traces;

    private LibraryRig(SentImages proxy, TimeProvider time)
    {
        Proxy = proxy;
        _time = time;
        Layout = new WorkerLayout(_scratch["worker"]);
        Directory.CreateDirectory(Layout.Root);
        Open();
    }

    public SentImages Proxy { get; }

    public WorkerLayout Layout { get; }

    public ObjectStore Objects { get; private set; } = null!;

    public ArrivalBoard Board { get; private set; } = null!;

    public ImageLibrary Library { get; private set; } = null!;

    /// <param name="time">The library's clock; null for the system's.</param>
    public static async Task<LibraryRig> StartAsync(TimeProvider? time = null) => new(await SentImages.StartAsync(), time ?? TimeProvider.System);

    /// <summary>The library's part of a pull.</summary>
    public async Task<Result<IImageReception>> BeginAsync(params IncomingImage[] images)
    {
        DeltaRequest request = new([.. images.Select(i => i.Reference)], new Platform("linux", "amd64"), []);
        IIncomingBundle bundle = await _client.RequestDeltaAsync(Proxy.Profile, request, CancellationToken.None);
        return await Library.BeginAsync(Proxy.Profile, request, bundle, images, CancellationToken.None);
    }

    /// <summary>A whole pull whose snapshots live on.</summary>
    public async Task PullAsync(IncomingImage image)
    {
        IImageReception reception = (await BeginAsync(image)).Value;
        Proxy.LetGo(image);
        reception.Start();
        reception.Settle();
        (await reception.Completion).IsSuccess.ShouldBeTrue();
    }

    /// <summary>The next daemon.</summary>
    public async Task RestartAsync()
    {
        await CloseAsync();
        Open();
    }

    /// <summary>What an opener would find.</summary>
    public ArrivalState StateOf(string content) => Board.StateOf(Digest.Of(LayerEntries.BytesOf(content)));

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        await Proxy.DisposeAsync();
        _client.Dispose();
        _scratch.Dispose();
    }

    private void Open()
    {
        Objects = new ObjectStore(Layout.ObjectsDirectory);
        Board = new ArrivalBoard(Objects);
        UnpackedRoots roots = new(Objects, new ErofsFilesystemImages(), TimeProvider.System, NullLogger<ImageLibrary>.Instance);
        _traces = new ContainerTraces(Layout.TracesDirectory, obstacle: null, online: false, TimeProvider.System, NullLogger<ContainerTraces>.Instance);
        Library = new ImageLibrary(Layout, Objects, Board, roots, _traces, new ErofsFilesystemImages(), _time, NullLogger<ImageLibrary>.Instance);
    }

    private async Task CloseAsync()
    {
        await Library.DisposeAsync();
        _traces?.Dispose();
        Objects.Dispose();
    }
}
