using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>
/// One bundle over as many connections as it takes. A bundle is an immutable byte string named by its entity tag: after a cut the rest is asked for by range, and if
/// the proxy no longer has that bundle (another version of it answers), the new one is read from its beginning, whose known contents cost only their bytes.
/// What a patch needs may turn out to be damaged or gone on this worker: then the same images are asked for without patches, once and for all.
/// Used by one task at a time, but for what says otherwise; the counters may be read by any.
/// </summary>
public sealed class IncomingBundle : IIncomingBundle
{
    private readonly StarlightProxyClient _client;
    private readonly IFilesystemImages _filesystems;
    private readonly IBundleBases? _bases;
    private HttpResponseMessage _response;
    private BundleReader _reader;

    /// <summary>The sink threw while it was being served, or another bundle is needed: the reader cannot be asked to go on.</summary>
    private bool _readerLost;

    /// <summary>Patches are asked for.</summary>
    private bool _patches;

    /// <summary>Of the images.</summary>
    private readonly Digest[] _manifests;

    /// <summary>From the request to the header's end.</summary>
    private readonly TimeSpan _opened;

    private long _receivedAt = Stopwatch.GetTimestamp();
    private long _received;
    private long _total;

    private IncomingBundle(
        StarlightProxyClient client, ProxyProfile proxy, DeltaRequest request, IBundleBases? bases, IFilesystemImages filesystems, HttpResponseMessage response, BundleReader reader, Counter counter, bool patches, TimeSpan opened)
    {
        _opened = opened;
        _bases = bases;
        _patches = patches;
        _client = client;
        _filesystems = filesystems;
        _response = response;
        _reader = reader;
        _received = counter.Received;
        counter.Owner = this;
        _total = response.Content.Headers.ContentLength ?? 0;
        Proxy = proxy;
        Request = request;
        Images = reader.Images;
        _manifests = [.. Images.Select(i => Digest.Of(i.Manifest.Span))];
        List<IReadOnlyList<ContentRef>> imageContents = [];
        Contents = Bind(reader, imageContents);
        ImageContents = imageContents;
    }

    public ProxyProfile Proxy { get; }

    public DeltaRequest Request { get; }

    public IReadOnlyList<BundleImage> Images { get; }

    public IReadOnlyList<IReadOnlyList<ContentRef>> ImageContents { get; }

    public IReadOnlyList<ContentRef> Contents { get; }

    public long ReceivedBytes => Interlocked.Read(ref _received);

    public long TotalBytes => Interlocked.Read(ref _total);

    /// <summary>Raw bytes of contents before the place where the stream is.</summary>
    internal long ContentPosition => Volatile.Read(ref _reader).ContentPosition;

    /// <summary>How long nothing of the stream has come.</summary>
    internal TimeSpan Silence => Stopwatch.GetElapsedTime(Volatile.Read(ref _receivedAt));

    /// <summary>The shortest time in which this proxy answers.</summary>
    internal TimeSpan RoundTrip => _client.LineTo(Proxy).RoundTrip is { Ticks: > 0 } known ? known : _opened;

    internal static async Task<IncomingBundle> OpenAsync(
        StarlightProxyClient client, ProxyProfile proxy, DeltaRequest request, IBundleBases? bases, IFilesystemImages filesystems, CancellationToken cancellationToken)
    {
        try
        {
            return await OpenAsync(client, proxy, request, bases, filesystems, patches: bases is not null, cancellationToken);
        }
        catch (FailureException e) when (IsAboutBases(e) && bases is not null)
        {
            return await OpenAsync(client, proxy, request, bases, filesystems, patches: false, cancellationToken);
        }
    }

    /// <summary>Hands out contents until the end. After a failure of kind Unavailable or DataCorrupt, <see cref="ReconnectAsync"/> and call again with the same sink.</summary>
    internal async Task ReceiveAsync(IBundleContentSink sink, CancellationToken cancellationToken)
    {
        try
        {
            await _reader.ReadContentsAsync(sink, cancellationToken);
        }
        catch (FailureException e) when (IsAboutBases(e) || e.Error.Code.StartsWith("Object.", StringComparison.Ordinal))
        {
            _patches &= !IsAboutBases(e);
            _readerLost = true;
            throw;
        }
    }

    /// <summary>Gets one content of these images beside the stream. May be called by any task.</summary>
    internal Task FetchAsync(ContentRef content, Action<ReadOnlyMemory<byte>> write, CancellationToken cancellationToken) =>
        _client.FetchContentAsync(Proxy, Request, _manifests, content, write, cancellationToken);

    /// <summary>Asks for the rest on a new connection.</summary>
    /// <returns>True if the sink goes on where it was; false if contents start again at a content's beginning, and the sink has to drop a half-written one.</returns>
    internal async Task<bool> ReconnectAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await ReopenAsync(cancellationToken);
        }
        catch (FailureException e) when (IsAboutBases(e) && _patches)
        {
            _patches = false;
            return await ReopenAsync(cancellationToken);
        }
    }

    public ValueTask DisposeAsync()
    {
        _response.Dispose();
        return ValueTask.CompletedTask;
    }

    private static bool IsAboutBases(FailureException e) => e.Error.Code is "Bundle.BaseDamaged" or "Bundle.BaseIncomplete";

    private static async Task<IncomingBundle> OpenAsync(
        StarlightProxyClient client, ProxyProfile proxy, DeltaRequest request, IBundleBases? bases, IFilesystemImages filesystems, bool patches, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        HttpResponseMessage response = await client.GetDeltaAsync(proxy, request, patches, cancellationToken);
        try
        {
            Counter counter = new();
            BundleReader reader = await BundleReader.OpenAsync(await BodyAsync(proxy, response, counter, cancellationToken), bases, cancellationToken);
            return new IncomingBundle(client, proxy, request, bases, filesystems, response, reader, counter, patches, Stopwatch.GetElapsedTime(started));
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private async Task<bool> ReopenAsync(CancellationToken cancellationToken)
    {
        EntityTagHeaderValue? tag = _readerLost ? null : _response.Headers.ETag;
        long offset = _readerLost ? 0 : _reader.Position.Offset;
        _response.Dispose();
        HttpResponseMessage response = await _client.GetRestAsync(Proxy, Request, _patches, tag, offset, cancellationToken);
        try
        {
            Stream body = await BodyAsync(Proxy, response, new Counter { Owner = this }, cancellationToken);
            if (response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == offset)
            {
                _reader.Resume(body);
                Adopt(response);
                return true;
            }

            if (response.StatusCode == HttpStatusCode.PartialContent)
            {
                response.Dispose();
                response = await _client.GetRestAsync(Proxy, Request, _patches, tag: null, offset: 0, cancellationToken);
                body = await BodyAsync(Proxy, response, new Counter { Owner = this }, cancellationToken);
            }

            BundleReader reader = await BundleReader.OpenAsync(body, _bases, cancellationToken);
            if (!reader.Images.Select(i => i.FilesystemDigest).SequenceEqual(Images.Select(i => i.FilesystemDigest)))
            {
                throw new FailureException(new Error("Bundle.Changed", $"the proxy {Proxy} now has other images under {string.Join(", ", Request.Images)}: pull again", ErrorKind.FailedPrecondition));
            }

            Bind(reader, []);
            _reader = reader;
            _readerLost = false;
            Adopt(response);
            return false;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private static async Task<Stream> BodyAsync(ProxyProfile proxy, HttpResponseMessage response, Counter counter, CancellationToken cancellationToken) =>
        new ReceivedStream(await response.Content.ReadAsStreamAsync(cancellationToken), proxy, counter.Add);

    private IReadOnlyList<ContentRef> Bind(BundleReader reader, List<IReadOnlyList<ContentRef>> imageContents) => reader.BindContents(image =>
    {
        IReadOnlyList<ContentRef> contents = _filesystems.ReadContents(image).Contents;
        imageContents.Add(contents);
        return contents;
    });

    private void Adopt(HttpResponseMessage response)
    {
        _response = response;
        if (response.Content.Headers.ContentRange?.Length is { } whole)
        {
            Interlocked.Exchange(ref _total, whole);
        }
    }

    /// <summary>Counts bytes before and after the bundle exists.</summary>
    private sealed class Counter
    {
        public IncomingBundle? Owner { get; set; }

        public long Received { get; private set; }

        public void Add(int count)
        {
            if (Owner is null)
            {
                Received += count;
            }
            else
            {
                Interlocked.Add(ref Owner._received, count);
                Volatile.Write(ref Owner._receivedAt, Stopwatch.GetTimestamp());
            }
        }
    }
}
