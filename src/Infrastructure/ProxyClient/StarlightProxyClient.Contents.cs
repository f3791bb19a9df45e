using System.Buffers;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Content;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression;

namespace Starlight.Infrastructure.ProxyClient;

/// <content>Single contents, beside the bundle that brings them.</content>
public sealed partial class StarlightProxyClient
{
    private const string Zstd = "zstd";
    private const int CopyBuffer = 128 << 10;

    /// <summary>Gets one content of the images that a bundle brings.</summary>
    /// <param name="proxy">Whom to ask.</param>
    /// <param name="delta">The bundle's request.</param>
    /// <param name="manifests">The bundle's images.</param>
    /// <param name="content">Its bytes are not checked here.</param>
    /// <param name="write">Gets them, raw, in order.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    internal async Task FetchContentAsync(
        ProxyProfile proxy, DeltaRequest delta, IReadOnlyList<Digest> manifests, ContentRef content, Action<ReadOnlyMemory<byte>> write, CancellationToken cancellationToken)
    {
        StringBuilder query = new($"starlight/contents/{content.Digest}?platform={Uri.EscapeDataString(delta.Platform.ToString())}");
        foreach ((Domain.References.ImageReference image, Digest manifest) in delta.Images.Zip(manifests))
        {
            query.Append("&to=").Append(Uri.EscapeDataString(image.WithDigest(manifest).ToString()));
        }

        if (delta.Layers is { } layers)
        {
            query.Append(CultureInfo.InvariantCulture, $"&layers={layers}");
        }

        HttpRequestMessage Make()
        {
            HttpRequestMessage request = Request(proxy, HttpMethod.Get, query.ToString());
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue(Zstd));
            return request;
        }

        using HttpResponseMessage response = await SendAsync(proxy, Make, AnswerTimeout, cancellationToken);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(CopyBuffer);
        try
        {
            await using ReceivedStream body = new(await response.Content.ReadAsStreamAsync(cancellationToken), proxy, static _ => { });
            await using Stream raw = response.Content.Headers.ContentEncoding.Contains(Zstd) ? new ZstdDecompressionStream(body) : body;
            while (await raw.ReadAsync(buffer, cancellationToken) is > 0 and int read)
            {
                write(buffer.AsMemory(0, read));
            }
        }
        catch (IOException e)
        {
            throw new FailureException(new Error("Proxy.AnswerCut", $"the proxy {proxy} ended its answer before the end of {content.Digest}", ErrorKind.Unavailable), e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
