using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Starlight.Presentation.Proxy.Administration;
using Starlight.Presentation.Proxy.Endpoints;
using Starlight.Presentation.Proxy.Orders;
using Starlight.Presentation.Proxy.Problems;

namespace Starlight.Presentation.Proxy;

/// <summary>Serialisers made at build time: no reflection at start-up.</summary>
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(HealthAnswer))]
[JsonSerializable(typeof(NotifyAnswer))]
[JsonSerializable(typeof(NotifyLine))]
[JsonSerializable(typeof(ScannerAnswer))]
[JsonSerializable(typeof(ScanJobList))]
[JsonSerializable(typeof(ReportRequest))]
[JsonSerializable(typeof(ReportAnswer))]
[JsonSerializable(typeof(OrderAnswer))]
[JsonSerializable(typeof(AdminImages))]
[JsonSerializable(typeof(AdminDetails))]
[JsonSerializable(typeof(AdminRemoval))]
[JsonSerializable(typeof(AdminGarbage))]
[JsonSerializable(typeof(AdminStatistics))]
internal sealed partial class ProxyJson : JsonSerializerContext
{
    /// <summary>Quotes and plus signs as they are: the answers are read by people and programs, never put into HTML.</summary>
    public static ProxyJson Readable { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
