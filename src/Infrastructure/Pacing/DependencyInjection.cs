using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Starlight.Application.Abstractions.Images;

namespace Starlight.Infrastructure.Pacing;

public static class DependencyInjection
{
    /// <summary>Slows background work down while bundles are served. After the adapter of <see cref="IImageTransports"/>, which this wraps.</summary>
    public static IServiceCollection AddBackgroundPace(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<BackgroundPace>();
        return services.Decorate<IImageTransports, PacedTransports>();
    }
}
