using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.ProxyClient;

/// <content>Traces and the orders that they teach.</content>
public sealed partial class StarlightProxyClient
{
    public async Task<IReadOnlyList<Error?>> ReportAsync(ProxyProfile proxy, string worker, IReadOnlyList<Trace> traces, CancellationToken cancellationToken)
    {
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(new ReportMessage(worker, [.. traces.Select(ToMessage)]), ProxyMessagesJson.Default.ReportMessage);

        HttpRequestMessage Make()
        {
            HttpRequestMessage request = Request(proxy, HttpMethod.Post, "starlight/report");
            request.Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
            return request;
        }

        using HttpResponseMessage response = await SendAsync(proxy, Make, AnswerTimeout, cancellationToken);
        ReportAnswerMessage answer = await ReadAsync(proxy, response, ProxyMessagesJson.Default.ReportAnswerMessage, cancellationToken);
        if (answer.Traces is not { } outcomes || outcomes.Count != traces.Count || outcomes.Where((o, i) => o?.Id != traces[i].Id.ToString("D")).Any())
        {
            throw ProxyErrors.NotAProxy(proxy, "it does not say what became of each trace");
        }

        return
        [
            .. outcomes.Select(o => o.Outcome switch
            {
                "stored" or "known" => null,
                "refused" => o.Refusal is { } refusal ? ProxyErrors.Of(refusal) : new Error("Proxy.AnswerMalformed", "the proxy gives no reason", ErrorKind.DataCorrupt),
                _ => throw ProxyErrors.NotAProxy(proxy, $"what became of a trace is '{o.Outcome}'"),
            }),
        ];
    }

    public async Task<IReadOnlyList<SentOrder>> GetOrderAsync(ProxyProfile proxy, ImageReference reference, Platform? platform, bool all, bool anyVersion, CancellationToken cancellationToken)
    {
        string query = "starlight/order?ref=" + Uri.EscapeDataString(reference.ToString())
            + (platform is null ? "" : "&platform=" + Uri.EscapeDataString(platform.ToString()))
            + (all ? "&all=true" : "")
            + (anyVersion ? "&version=any" : "");
        using HttpResponseMessage response = await SendAsync(proxy, () => Request(proxy, HttpMethod.Get, query), AnswerTimeout, cancellationToken);
        return (await ReadAsync(proxy, response, ProxyMessagesJson.Default.OrderMessage, cancellationToken)).Images ?? throw ProxyErrors.NotAProxy(proxy, "it names no images");
    }

    private static TraceMessage ToMessage(Trace trace) => new(
        trace.Id.ToString("D"),
        trace.Image.ToString(),
        trace.Source.ToString().ToLowerInvariant(),
        trace.Group?.Name,
        trace.Group?.Run.ToString("D"),
        trace.Group is { } group ? group.Offset.Ticks / TimeSpan.TicksPerMicrosecond : 0,
        trace.StartedAt,
        [.. trace.Opens.Select(o => o.Content.Hex)],
        [.. trace.Opens.Select(o => o.At.Ticks / TimeSpan.TicksPerMicrosecond)],
        [.. trace.Opens.Select(o => o.Waited.Ticks / TimeSpan.TicksPerMicrosecond)]);

    private static async Task<T> ReadAsync<T>(ProxyProfile proxy, HttpResponseMessage response, JsonTypeInfo<T> json, CancellationToken cancellationToken)
    {
        try
        {
            return JsonSerializer.Deserialize(await response.Content.ReadAsByteArrayAsync(cancellationToken), json) ?? throw new JsonException("the answer is null");
        }
        catch (JsonException e)
        {
            throw ProxyErrors.NotAProxy(proxy, e.Message);
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            throw ProxyErrors.Unreachable(proxy, e);
        }
    }
}
