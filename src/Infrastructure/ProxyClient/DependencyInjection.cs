using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.ProxyClient;

public static class DependencyInjection
{
    /// <summary>One client for all proxies. Needs IFilesystemImages; with IBundleBases it asks for patches. The latter is looked up late, because it lives longer than the client.</summary>
    public static IServiceCollection AddProxyClient(this IServiceCollection services, string? worker = null, int stripes = 0)
    {
        services.AddSingleton(provider => new StarlightProxyClient(provider.GetRequiredService<IFilesystemImages>(), provider.GetService<IBundleBases>) { Worker = worker, Stripes = stripes });
        return services.AddSingleton<IProxyClient>(provider => provider.GetRequiredService<StarlightProxyClient>());
    }

    /// <summary>Keeps connections of that client warm, once started. Needs IProxyProfiles.</summary>
    public static IServiceCollection AddWarmConnections(this IServiceCollection services, int count) => services.AddSingleton(provider => new WarmConnections(
        provider.GetRequiredService<StarlightProxyClient>(),
        provider.GetRequiredService<IProxyProfiles>(),
        count,
        provider.GetRequiredService<TimeProvider>(),
        provider.GetRequiredService<ILogger<WarmConnections>>()));
}
