using System.Text.Json;
using System.Text.Json.Serialization;

namespace Starlight.Presentation.Proxy.Scanning;

// What the two kinds of registry send, as far as it is read. Any of it may be missing or null.

/// <summary>distribution: <c>notifications/event.go</c>, https://distribution.github.io/distribution/about/notifications.</summary>
internal sealed record DistributionEnvelope(IReadOnlyList<DistributionEvent?>? Events);

internal sealed record DistributionEvent(string? Id, string? Action, DistributionTarget? Target, DistributionRequest? Request);

internal sealed record DistributionTarget(string? MediaType, string? Digest, string? Repository, string? Url, string? Tag);

internal sealed record DistributionRequest(string? Host);

/// <summary>Harbor, both payload formats: the default one has <c>event_data</c>, CloudEvents has <c>data</c> with the same in it.</summary>
internal sealed record HarborEvent(string? Type, [property: JsonPropertyName("event_data")] HarborData? EventData, HarborData? Data);

internal sealed record HarborData(IReadOnlyList<HarborResource?>? Resources, HarborRepository? Repository);

internal sealed record HarborResource(string? Digest, string? Tag, [property: JsonPropertyName("resource_url")] string? ResourceUrl);

internal sealed record HarborRepository([property: JsonPropertyName("repo_full_name")] string? FullName);

[JsonSerializable(typeof(DistributionEnvelope))]
[JsonSerializable(typeof(HarborEvent))]
internal sealed partial class WebhookJson : JsonSerializerContext
{
    public static WebhookJson Wire { get; } = new(new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.CamelCase });
}
