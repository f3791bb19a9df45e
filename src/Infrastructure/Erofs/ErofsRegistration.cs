using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;

namespace Starlight.Infrastructure.Erofs;

/// <summary>The door of the filesystem image adapter.</summary>
public static class ErofsRegistration
{
    /// <summary>Provides <see cref="IFilesystemImages"/>.</summary>
    public static IServiceCollection AddFilesystemImages(this IServiceCollection services) =>
        services.AddSingleton<IFilesystemImages, ErofsFilesystemImages>();
}
