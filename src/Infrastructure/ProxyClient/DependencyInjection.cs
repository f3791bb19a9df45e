using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Infrastructure.Bundles;

namespace Starlight.Infrastructure.ProxyClient;

public static class DependencyInjection
{
    /// <summary>One client for all proxies. Needs IFilesystemImages; with IBundleBases it asks for patches. The latter is looked up late, because it lives longer than the client.</summary>
    public static IServiceCollection AddProxyClient(this IServiceCollection services, string? worker = null) =>
        services.AddSingleton<IProxyClient>(provider => new StarlightProxyClient(provider.GetRequiredService<IFilesystemImages>(), provider.GetService<IBundleBases>) { Worker = worker });
}
