using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Starlight.Presentation.Proxy.Endpoints;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Scanning;

/// <summary>The door to webhooks and the jobs they start.</summary>
internal static class ScannerRegistration
{
    /// <summary>After persistence and image transports. Without rules there is no worker, and the endpoint says so.</summary>
    public static IServiceCollection AddScanner(this IServiceCollection services, ProxySettings settings)
    {
        if (settings.Scanner is not { } scanner)
        {
            return services;
        }

        services.AddSingleton(scanner);
        services.AddSingleton(scanner.ToOptions(settings.Registries));
        services.AddSingleton<WebhookReader>();
        services.AddSingleton(_ => new ScanWorkerName(settings.DataDirectory));
        services.AddSingleton<ScanWorker>();
        services.AddHostedService(provider => provider.GetRequiredService<ScanWorker>());
        services.AddScoped<ScannerEndpoint>();
        return services;
    }

    public static void UseScanner(this WebApplication app, ProxySettings settings)
    {
        ScannerEndpoint.Map(app, isSetUp: settings.Scanner is not null);
    }
}
