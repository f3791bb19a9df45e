using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Starlight.Application.Convert;

/// <summary>JSON strings without reflection, escaped no more than JSON asks: '+' is in every media type, and other writers leave it as it is.</summary>
[JsonSerializable(typeof(string))]
internal sealed partial class TextContext : JsonSerializerContext
{
    public static TextContext Relaxed { get; } = new(new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
