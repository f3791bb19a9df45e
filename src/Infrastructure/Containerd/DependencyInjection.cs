using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Containerd;

namespace Starlight.Infrastructure.Containerd;

public static class DependencyInjection
{
    /// <param name="services">Where to register.</param>
    /// <param name="address">containerd's socket. Nothing is connected before the first call.</param>
    public static IServiceCollection AddContainerd(this IServiceCollection services, string address) =>
        services.AddSingleton<IContainerRuntime>(_ => new ContainerdRuntime(address));
}
