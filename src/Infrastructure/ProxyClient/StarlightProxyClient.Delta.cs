using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.ProxyClient;

/// <content>Bundles.</content>
public sealed partial class StarlightProxyClient
{
    /// <summary>
    /// Over how many connections a bundle comes while none is warm; 0 or 1: always over one. The figures are in docs/operations.md, "Long lines".
    /// </summary>
    public const int DefaultStripes = 12;

    /// <summary>Beyond that the line is the limit. Arbitrary.</summary>
    public const int MaxStripes = 16;

    /// <summary>See <see cref="DefaultStripes"/>.</summary>
    public int Stripes { get; init; }

    /// <summary>Round trip from which parts are worth their requests.</summary>
    internal TimeSpan ShortestStriped { get; init; } = ShortLine;

    /// <summary>Asks for a bundle: 200; everything else throws.</summary>
    internal async Task<HttpResponseMessage> GetDeltaAsync(ProxyProfile proxy, DeltaRequest delta, bool patches, CancellationToken cancellationToken)
    {
        Func<HttpRequestMessage> make = DeltaRequestTo(proxy, delta, patches);
        TimeSpan patience = delta.AnswerWithin ?? AnswerTimeout;
        ProxyLine line = LineTo(proxy);
        await line.WaitForOpeningAsync(cancellationToken);
        if (line.TakeForStripes(Stripes, ShortestStriped) is { } lanes)
        {
            return await GetStripedAsync(proxy, delta, patches, make, line, lanes, patience, cancellationToken);
        }

        HttpResponseMessage response = CheckLayers(proxy, delta, await SendAsync(proxy, make, patience, cancellationToken));
        line.IsRefused = false;
        return response;
    }

    /// <summary>Asks for the rest of the bundle with the given entity tag. 200 (another bundle, or all of it) or 206; everything else throws.</summary>
    internal async Task<HttpResponseMessage> GetRestAsync(ProxyProfile proxy, DeltaRequest delta, bool patches, EntityTagHeaderValue? tag, long offset, CancellationToken cancellationToken)
    {
        Func<HttpRequestMessage> make = DeltaRequestTo(proxy, delta, patches);
        HttpRequestMessage MakeRest()
        {
            HttpRequestMessage request = make();
            if (tag is not null && offset > 0)
            {
                // What is still growing is followed; a range without an end would have to wait for its length.
                request.Headers.Range = new RangeHeaderValue(offset, Stripe.VeryLarge);
                request.Headers.IfRange = new RangeConditionHeaderValue(tag);
            }

            return request;
        }

        return CheckLayers(proxy, delta, await SendAsync(proxy, MakeRest, AnswerTimeout, cancellationToken));
    }

    private Func<HttpRequestMessage> DeltaRequestTo(ProxyProfile proxy, DeltaRequest delta, bool patches)
    {
        StringBuilder query = new("starlight/delta?platform=" + Uri.EscapeDataString(delta.Platform.ToString()));
        foreach (ImageReference image in delta.Images)
        {
            query.Append("&to=").Append(Uri.EscapeDataString(image.ToString()));
        }

        foreach (BaseImage image in delta.Bases)
        {
            query.Append("&from=").Append(Uri.EscapeDataString(image.Reference.WithDigest(image.ManifestDigest).ToString()));
        }

        if (delta.Layers is { } layers)
        {
            query.Append(CultureInfo.InvariantCulture, $"&layers={layers}");
        }

        if (patches && delta.Bases.Count > 0)
        {
            query.Append("&patch=true");
        }

        return () => Request(proxy, HttpMethod.Get, query.ToString());
    }

    private static HttpResponseMessage CheckLayers(ProxyProfile proxy, DeltaRequest delta, HttpResponseMessage response)
    {
        if (delta.Layers is not { } asked || (response.Headers.TryGetValues(LayersHeader, out IEnumerable<string>? sent) && sent.First() == asked.ToString(CultureInfo.InvariantCulture)))
        {
            return response;
        }

        response.Dispose();
        throw ProxyErrors.NoLayers(proxy);
    }

    /// <summary>
    /// Asks for the whole bundle on the first connection, as ever, and in the same moment for parts of it on the others, before anybody knows how long it is or which: what turns out not to be part of the
    /// same bundle is left aside.
    /// </summary>
    private async Task<HttpResponseMessage> GetStripedAsync(
        ProxyProfile proxy, DeltaRequest delta, bool patches, Func<HttpRequestMessage> make, ProxyLine line, IReadOnlyList<ProxyLane> lanes, TimeSpan patience, CancellationToken cancellationToken)
    {
        Task<HttpResponseMessage> first = SendAsync(proxy, make, patience, cancellationToken, lanes[0]);
        StripeSet stripes = new(lanes.Count);
        stripes.Start([.. lanes.Skip(1)], AskAsync, line.Return);
        bool isStriped = false;
        try
        {
            HttpResponseMessage response = CheckLayers(proxy, delta, new LaneResponse(await first, line, lanes[0]));
            if (response.Headers.ETag is not { IsWeak: false } tag)
            {
                return response;
            }

            isStriped = true;
            HttpResponseMessage whole = new(HttpStatusCode.OK) { Content = new StripedContent(new StripedStream(response, tag, stripes, (offset, token) => ReopenAsync(tag, offset, token)), response.Content.Headers) };
            whole.Headers.ETag = tag;
            return whole;
        }
        catch (FailureException e)
        {
            line.IsRefused |= e.Error.Kind != ErrorKind.Unavailable;
            throw;
        }
        finally
        {
            if (!first.IsCompletedSuccessfully)
            {
                line.Return(lanes[0]);
            }

            if (!isStriped)
            {
                stripes.Dispose();
            }
        }

        async Task<HttpResponseMessage> AskAsync(ProxyLane lane, RangeHeaderValue range, CancellationToken token)
        {
            using HttpRequestMessage request = make();
            request.Headers.Range = range;
            return await SendOnceAsync(proxy, request, patience, lane, token);
        }

        async Task<HttpResponseMessage> ReopenAsync(EntityTagHeaderValue tag, long offset, CancellationToken token)
        {
            try
            {
                HttpResponseMessage rest = await GetRestAsync(proxy, delta, patches, tag, offset, token);
                if (rest.StatusCode == HttpStatusCode.PartialContent && rest.Content.Headers.ContentRange?.From == offset && tag.Equals(rest.Headers.ETag))
                {
                    return rest;
                }

                rest.Dispose();
                throw new IOException($"the proxy {proxy} does not go on with the bundle {tag} at {offset}");
            }
            catch (FailureException e)
            {
                // Whoever reads the bundle comes to the same by itself, and knows what to do about it.
                throw new IOException(e.Message, e);
            }
        }
    }
}
