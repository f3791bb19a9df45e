using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images;

/// <summary>The door of the layer formats: tar, gzip, zstd and eStargz.</summary>
public static class DependencyInjection
{
    public static IServiceCollection AddLayerFormats(this IServiceCollection services) => services.AddSingleton<ILayerScanner, LayerScanner>();
}
