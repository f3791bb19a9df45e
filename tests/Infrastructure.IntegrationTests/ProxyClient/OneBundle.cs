using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Proxies;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Erofs;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.ProxyClient;

/// <summary>A range that was asked for and how it is answered; a test changes the latter.</summary>
internal sealed class RangeAnswer
{
    /// <summary>Offset of the first byte; null for the whole bundle.</summary>
    public required long? From { get; init; }

    /// <summary>One that goes on after a failure, and says of which bundle.</summary>
    public required bool IsResumption { get; init; }

    public int Status { get; set; }

    public string ETag { get; set; } = OneBundle.Tag;

    /// <summary>Sent in the body; the head promises what it would otherwise.</summary>
    public required ArraySegment<byte> Bytes { get; set; }

    public string? ContentRange { get; set; }

    /// <summary>So many bytes go out before the connection is cut.</summary>
    public int? CutAfter { get; set; }
}

/// <summary>A proxy in this process that has one bundle, and answers ranges of it rightly unless the test says how not to.</summary>
internal sealed class OneBundle : IAsyncDisposable
{
    public const string Tag = "\"one\"";

    private readonly WebApplication _app;
    private readonly SemaphoreSlim _sent = new(0);
    private byte[] _bytes = [];

    private OneBundle(WebApplication app) => _app = app;

    public ProxyProfile Profile { get; private set; } = null!;

    public int Length => _bytes.Length;

    /// <summary>Requests so far.</summary>
    public ConcurrentQueue<RangeAnswer> Answers { get; } = [];

    /// <summary>So many answers of parts go out before the whole bundle does, so that it is not here before they begin.</summary>
    public int PartsFirst { get; set; }

    /// <summary>Changes an answer before it goes out.</summary>
    public Func<RangeAnswer, Task> Fault { get; set; } = static _ => Task.CompletedTask;

    /// <param name="headerLength">About what comes before the contents.</param>
    /// <param name="contents">How many, of 256 KiB that do not compress.</param>
    public static async Task<OneBundle> StartAsync(int headerLength, int contents)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1));
        WebApplication app = builder.Build();
        OneBundle bundle = new(app);
        app.MapGet("/starlight/delta", bundle.SendAsync);
        await app.StartAsync();
        bundle.Profile = ProxyProfile.Create("proxy", "http", new Uri(app.Urls.First()).Authority, user: null, password: null).Value;
        bundle._bytes = await WriteAsync(headerLength, contents);
        return bundle;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _sent.Dispose();
    }

    private static async Task<byte[]> WriteAsync(int headerLength, int contents)
    {
        Random random = new(1);
        byte[] config = new byte[headerLength];
        random.NextBytes(config);
        LayerEntry[] files = new LayerEntry[contents];
        for (int i = 0; i < contents; i++)
        {
            byte[] noise = new byte[256 << 10];
            random.NextBytes(noise);
            files[i] = LayerEntries.File(string.Create(CultureInfo.InvariantCulture, $"file{i:D3}"), noise);
        }

        ReadOnlyMemory<byte> filesystem = ErofsWriter.Build(TreeMerger.Merge([files]).Value);
        BundleImage image = new()
        {
            Reference = "reg.example.com/app:1",
            ManifestMediaType = "application/vnd.oci.image.manifest.v1+json",
            Manifest = "{}"u8.ToArray(),
            Config = config,
            FilesystemImage = filesystem,
            FilesystemDigest = Digest.Of(filesystem.Span),
        };
        DeltaPlan plan = DeltaPlanner.Plan([new OrderedImage(new ErofsFilesystemImages().ReadContents(filesystem).Contents, [])], []);
        using MemoryStream output = new();
        await BundleWriter.WriteAsync(
            output, [ImageUnit.Split(ImageUnit.Encode(image, level: 0))], plan, (content, _) => ValueTask.FromResult<Stream>(new MemoryStream(LayerEntries.ContentOf(content.Digest), writable: false)), level: 0);
        return output.ToArray();
    }

    private async Task SendAsync(HttpContext context)
    {
        RangeItemHeaderValue? range = context.Request.GetTypedHeaders().Range?.Ranges.Single();
        int from = (int)Math.Min(range?.From ?? 0, _bytes.Length);
        int end = (int)Math.Min(range?.To + 1 ?? _bytes.Length, _bytes.Length);
        RangeAnswer answer = new()
        {
            From = range?.From,
            IsResumption = context.Request.Headers.IfRange.Count > 0,
            Status = range is null ? StatusCodes.Status200OK : from < _bytes.Length ? StatusCodes.Status206PartialContent : StatusCodes.Status416RangeNotSatisfiable,
            Bytes = new ArraySegment<byte>(_bytes, from, Math.Max(0, end - from)),
            ContentRange = range is null ? null : from < _bytes.Length ? $"bytes {from}-{end - 1}/{_bytes.Length}" : $"bytes */{_bytes.Length}",
        };
        Answers.Enqueue(answer);
        await Fault(answer);
        for (int i = 0; i < PartsFirst && answer.From is null; i++)
        {
            await _sent.WaitAsync(context.RequestAborted);
        }

        context.Response.StatusCode = answer.Status;
        context.Response.Headers["Starlight-Protocol"] = "1";
        (context.Response.Headers.ETag, context.Response.Headers.ContentRange) = (answer.ETag, answer.ContentRange);
        context.Response.ContentLength = answer.Bytes.Count;
        await context.Response.StartAsync();
        await context.Response.Body.WriteAsync(answer.Bytes[..(answer.CutAfter ?? answer.Bytes.Count)]);
        await context.Response.Body.FlushAsync();
        _sent.Release();
        if (answer.CutAfter is not null)
        {
            context.Abort();
        }
    }
}
