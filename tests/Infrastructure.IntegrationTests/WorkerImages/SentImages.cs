using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Erofs;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>A proxy in this process: it sends the images that a test has made, without their contents until the test lets them go.</summary>
internal sealed class SentImages : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, SentImage> _images = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, TaskCompletionSource<bool>> _contents = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _ending = new();

    private SentImages(WebApplication app) => _app = app;

    public ProxyProfile Profile { get; private set; } = null!;

    /// <summary>Requests so far, as the queries that they were.</summary>
    public ConcurrentQueue<string> Requests { get; } = [];

    /// <summary>Every request is refused with 429 and this in <c>Retry-After</c>; null for no refusal.</summary>
    public string? BusyFor { get; set; }

    /// <summary>Called before a request is answered.</summary>
    public Action? Asked { get; set; }

    public static async Task<SentImages> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1));
        WebApplication app = builder.Build();
        SentImages images = new(app);
        app.MapGet("/starlight/delta", images.SendAsync);
        await app.StartAsync();
        images.Profile = ProxyProfile.Create("proxy", "http", new Uri(app.Urls.First()).Authority, user: null, password: null).Value;
        return images;
    }

    /// <param name="reference">Replaced if there is one already.</param>
    /// <param name="layers">Names that make the image's chain of layers.</param>
    /// <param name="files">What is in it.</param>
    public IncomingImage Add(string reference, string[] layers, params LayerEntry[] files)
    {
        ReadOnlyMemory<byte> filesystem = ErofsWriter.Build(TreeMerger.Merge([files]).Value);
        ImageReference name = ImageReference.Parse(reference).Value;
        IncomingImage incoming = new(name, Digest.Of(LayerEntries.BytesOf(reference)), [.. layers.Select(l => Digest.Of(LayerEntries.BytesOf(l)))], Digest.Of(filesystem.Span));
        BundleImage image = new()
        {
            Reference = name.ToString(),
            ManifestMediaType = "application/vnd.oci.image.manifest.v1+json",
            Manifest = LayerEntries.BytesOf(reference),
            Config = "{}"u8.ToArray(),
            FilesystemImage = filesystem,
            FilesystemDigest = incoming.FilesystemDigest,
        };
        _images[name.ToString()] = new SentImage(image, new OrderedImage(new ErofsFilesystemImages().ReadContents(filesystem).Contents, []));
        _contents.TryAdd(name.ToString(), new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously));
        return incoming;
    }

    /// <summary>Contents of bundles that were asked for by this reference first go out, now and from now on.</summary>
    public void LetGo(IncomingImage image) => _contents[NameOf(image.Reference)].TrySetResult(true);

    /// <summary>Bundles that were asked for by this reference first break off, and the proxy does not know the image any more.</summary>
    public void Forget(IncomingImage image)
    {
        _images.TryRemove(NameOf(image.Reference), out _);
        _contents[NameOf(image.Reference)].TrySetResult(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _app.DisposeAsync();
        _ending.Dispose();
    }

    private async Task SendAsync(HttpContext context)
    {
        Requests.Enqueue(context.Request.QueryString.ToString());
        Asked?.Invoke();
        if (BusyFor is not null)
        {
            context.Response.StatusCode = StatusCodes.Status429TooManyRequests;
            context.Response.Headers.RetryAfter = BusyFor;
            return;
        }

        string[] names = [.. context.Request.Query["to"].Select(t => NameOf(ImageReference.Parse(t).Value))];
        context.Response.Headers["Starlight-Protocol"] = "1";
        if (names.Any(n => !_images.ContainsKey(n)))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            await context.Response.WriteAsJsonAsync(new { status = 404, code = "Image.NotIndexed", detail = "not here" }, options: null, "application/problem+json");
            return;
        }

        context.Response.Headers.ETag = $"\"{string.Join('+', names.Select(n => _images[n].Image.FilesystemDigest.Hex))}\"";
        SentImage[] images = [.. names.Select(n => _images[n])];
        DeltaPlan plan = DeltaPlanner.Plan([.. images.Select(i => i.Ordered)], []);
        try
        {
            await BundleWriter.WriteAsync(
                context.Response.Body, [.. images.Select(i => ImageUnit.Split(ImageUnit.Encode(i.Image, level: 0)))], plan, (content, _) => OpenAsync(names[0], content), level: 0, cancellationToken: context.RequestAborted);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            context.Abort();
        }
    }

    private static string NameOf(ImageReference reference) => reference.Tag is { } tag ? reference.WithTag(tag).ToString() : reference.ToString();

    private async ValueTask<Stream> OpenAsync(string name, ContentRef content) => await _contents[name].Task.WaitAsync(_ending.Token)
        ? new MemoryStream(LayerEntries.ContentOf(content.Digest), writable: false)
        : throw new IOException("the bundle breaks off here");

    private sealed record SentImage(BundleImage Image, OrderedImage Ordered);
}
