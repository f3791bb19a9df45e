using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Starlight.Application.Telemetry;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Observability;

/// <summary>The door to logs, metrics and traces.</summary>
internal static class ObservabilityRegistration
{
    public static void AddLog(this ILoggingBuilder logging, ProxySettings settings)
    {
        logging.SetMinimumLevel(settings.LogLevel)
            .AddFilter("Microsoft", settings.LogLevel > LogLevel.Warning ? settings.LogLevel : LogLevel.Warning)
            // It writes a stack for every query that fails, though a collision is no failure here and a database that is down is said in one line by whoever asked.
            .AddFilter("Microsoft.EntityFrameworkCore", settings.LogLevel <= LogLevel.Debug ? LogLevel.Warning : LogLevel.None)

            // It repeats start-up failures with their stack; the command prints them as one line.
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
        if (settings.LogFormat == LogFormat.Json)
        {
            logging.AddJsonConsole(console =>
            {
                // The request's scope holds its id.
                console.IncludeScopes = true;
                console.JsonWriterOptions = new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
                console.UseUtcTimestamp = true;
                console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";
            });
            return;
        }

        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
        });
    }

    public static IServiceCollection AddObservability(this IServiceCollection services, ProxySettings settings)
    {
        services.AddMetrics();
        services.AddSingleton<MetricsCollector>();
        if (settings.ExportsTraces)
        {
            AddTraces(services);
        }

        return services;
    }

    public static void UseObservability(this WebApplication app)
    {
        // Both begin to listen when they are made.
        MetricsCollector metrics = app.Services.GetRequiredService<MetricsCollector>();
        _ = app.Services.GetService<TracerProvider>();
        app.UseMiddleware<RequestMiddleware>();
        app.MapGet("/metrics", (HttpContext context) =>
        {
            context.Response.ContentType = MetricsCollector.MediaType;
            return context.Response.WriteAsync(metrics.Write(), context.RequestAborted);
        }).RequireRole(Roles.Metrics);
    }

    /// <summary>A method of its own: OpenTelemetry's assemblies are loaded only where they are used. Address, headers, sampling and so on come from the OTEL_* variables.</summary>
    private static void AddTraces(IServiceCollection services) => services.AddSingleton(_ => Sdk.CreateTracerProviderBuilder()
        .ConfigureResource(resource => resource.AddService("starlight-proxy", serviceVersion: ProxyVersion.Text))
        .AddSource("Microsoft.AspNetCore", "System.Net.Http", ProxyTelemetry.Name)
        .AddOtlpExporter()
        .Build());
}
