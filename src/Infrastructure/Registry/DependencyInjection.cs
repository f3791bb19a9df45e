using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Starlight.Application.Abstractions.Images;

namespace Starlight.Infrastructure.Registry;

/// <summary>The door to registries, OCI layouts and image archives.</summary>
public static class DependencyInjection
{
    /// <param name="services">Where to register.</param>
    /// <param name="options">Null: a <see cref="RegistryOptions"/> that is registered already, else the defaults.</param>
    public static IServiceCollection AddImageTransports(this IServiceCollection services, RegistryOptions? options = null)
    {
        services.AddLogging();
        services.TryAddSingleton(TimeProvider.System);
        if (options is not null)
        {
            services.Replace(ServiceDescriptor.Singleton(options));
        }

        services.TryAddSingleton(_ => new RegistryOptions());
        services.TryAddSingleton<IImageTransports, ImageTransports>();
        return services;
    }
}
