using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Starlight.Application.Abstractions.Images;
using Starlight.Infrastructure.Images.EStargz;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images;

/// <summary>Where the layer formats keep their files.</summary>
/// <param name="TemporaryDirectory">Room for the layers being converted; default <c>$TMPDIR</c>, else <c>/var/tmp</c> (<c>/tmp</c> is often memory).</param>
/// <param name="ConversionCacheDirectory">Default <c>$XDG_CACHE_HOME/starlight/convert</c>, else <c>~/.cache/starlight/convert</c>.</param>
public sealed record LayerFormatOptions(string? TemporaryDirectory = null, string? ConversionCacheDirectory = null);

/// <summary>The door of the layer formats: tar, gzip, zstd and eStargz, and what <c>convert</c> needs of them.</summary>
public static class DependencyInjection
{
    public static IServiceCollection AddLayerFormats(this IServiceCollection services, LayerFormatOptions? options = null)
    {
        services.TryAddSingleton<ILayerScanner, LayerScanner>();
        services.TryAddSingleton<ILayerContents, LayerContents>();
        services.TryAddSingleton(new EStargzConverterOptions(options?.TemporaryDirectory ?? Environment.GetEnvironmentVariable("TMPDIR") ?? "/var/tmp"));
        services.TryAddSingleton(new ConversionCacheOptions(options?.ConversionCacheDirectory ?? DefaultCacheDirectory()));
        services.TryAddSingleton<ILayerConverter, EStargzConverter>();
        services.TryAddSingleton<IConversionCache, ConversionCache>();
        return services;
    }

    /// <summary>XDG base directory specification: a relative path in the variable is to be ignored.</summary>
    private static string DefaultCacheDirectory()
    {
        string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        string root = !string.IsNullOrEmpty(cache) && Path.IsPathRooted(cache)
            ? cache
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify), ".cache");
        return Path.Combine(root, "starlight", "convert");
    }
}
