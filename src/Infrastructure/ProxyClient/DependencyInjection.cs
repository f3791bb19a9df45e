using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;

namespace Starlight.Infrastructure.ProxyClient;

public static class DependencyInjection
{
    /// <summary>One client for all proxies. Needs IFilesystemImages.</summary>
    public static IServiceCollection AddProxyClient(this IServiceCollection services) =>
        services.AddSingleton<IProxyClient>(provider => new StarlightProxyClient(provider.GetRequiredService<IFilesystemImages>()));
}
