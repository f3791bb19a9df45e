using System.Text.Json.Serialization;
using Starlight.Presentation.Proxy.Endpoints;
using Starlight.Presentation.Proxy.Problems;

namespace Starlight.Presentation.Proxy;

/// <summary>Serialisers made at build time: no reflection at start-up.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(HealthAnswer))]
[JsonSerializable(typeof(NotifyAnswer))]
[JsonSerializable(typeof(NotifyLine))]
internal sealed partial class ProxyJson : JsonSerializerContext;
