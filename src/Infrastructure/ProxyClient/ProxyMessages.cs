using System.Text.Json.Serialization;
using Starlight.Application.Abstractions.Proxies;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>RFC 9457 problem details as the proxy sends them.</summary>
internal sealed record ProblemMessage(int Status, string? Code, string? Detail, IReadOnlyList<string>? Subjects = null);

/// <summary>Answer of <c>POST /starlight/notify</c>.</summary>
internal sealed record NotifyMessage(string Reference, string Digest, IReadOnlyList<NotifyMessageImage> Images, IReadOnlyList<string>? Skipped, long ElapsedMilliseconds);

internal sealed record NotifyMessageImage(
    string Platform, string Digest, string FilesystemDigest, int NewLayers, int KnownLayers, int Files, int Contents, long ContentBytes);

/// <summary>One line of its <c>application/x-ndjson</c> form.</summary>
internal sealed record NotifyLineMessage(string Type, string? Stage, string? Subject, long? Bytes, long? Total, NotifyMessage? Result, ProblemMessage? Error);

/// <summary>Body of <c>POST /starlight/report</c>.</summary>
internal sealed record ReportMessage(string Worker, IReadOnlyList<TraceMessage> Traces);

/// <summary>Times in microseconds; the last three lists are parallel.</summary>
internal sealed record TraceMessage(
    string Id, string Image, string Source, string? Group, string? GroupRun, long GroupOffset, DateTimeOffset StartedAt, IReadOnlyList<string> Contents, IReadOnlyList<long> At, IReadOnlyList<long> Waited);

/// <summary>Its answer: one outcome per trace, in the order they were sent.</summary>
internal sealed record ReportAnswerMessage(IReadOnlyList<TraceOutcomeMessage>? Traces);

internal sealed record TraceOutcomeMessage(string? Id, string? Outcome, ProblemMessage? Refusal);

/// <summary>Answer of <c>GET /starlight/order</c>.</summary>
internal sealed record OrderMessage(IReadOnlyList<SentOrder>? Images);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ProblemMessage))]
[JsonSerializable(typeof(NotifyLineMessage))]
[JsonSerializable(typeof(ReportMessage))]
[JsonSerializable(typeof(ReportAnswerMessage))]
[JsonSerializable(typeof(OrderMessage))]
internal sealed partial class ProxyMessagesJson : JsonSerializerContext;
