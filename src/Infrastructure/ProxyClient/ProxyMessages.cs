using System.Text.Json.Serialization;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>RFC 9457 problem details as the proxy sends them.</summary>
internal sealed record ProblemMessage(int Status, string? Code, string? Detail, IReadOnlyList<string>? Subjects = null);

/// <summary>Answer of <c>POST /starlight/notify</c>.</summary>
internal sealed record NotifyMessage(string Reference, string Digest, IReadOnlyList<NotifyMessageImage> Images, IReadOnlyList<string>? Skipped, long ElapsedMilliseconds);

internal sealed record NotifyMessageImage(
    string Platform, string Digest, string FilesystemDigest, int NewLayers, int KnownLayers, int Files, int Contents, long ContentBytes);

/// <summary>One line of its <c>application/x-ndjson</c> form.</summary>
internal sealed record NotifyLineMessage(string Type, string? Stage, string? Subject, long? Bytes, long? Total, NotifyMessage? Result, ProblemMessage? Error);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ProblemMessage))]
[JsonSerializable(typeof(NotifyLineMessage))]
internal sealed partial class ProxyMessagesJson : JsonSerializerContext;
