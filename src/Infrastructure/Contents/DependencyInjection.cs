using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Contents;

public static class DependencyInjection
{
    /// <summary>The proxy's content store and bundle cache below <paramref name="dataDirectory"/>.</summary>
    public static IServiceCollection AddContents(this IServiceCollection services, string dataDirectory, long maxBundleCacheBytes, long storeLimit)
    {
        services.AddSingleton(provider => new ContentStore(Path.Combine(dataDirectory, "contents"), storeLimit, provider.GetService<TimeProvider>()));
        services.AddSingleton<IContentStore>(provider => provider.GetRequiredService<ContentStore>());
        services.AddSingleton(provider => new BundleCache(Path.Combine(dataDirectory, "bundles"), maxBundleCacheBytes, provider.GetRequiredService<ILogger<BundleCache>>()));
        services.AddSingleton<IBundleKeeping>(provider => provider.GetRequiredService<BundleCache>());
        services.AddHostedService<ContentsStartup>();
        services.AddSingleton(provider => new Spool(provider.GetRequiredService<ContentStore>().ScratchDirectory));
        services.AddSingleton<IBundleFormat, BundleEncoding>();
        return services;
    }
}
