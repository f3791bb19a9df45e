using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;

namespace Starlight.Infrastructure.Erofs;

/// <summary>The door of the filesystem image adapter.</summary>
public static class ErofsRegistration
{
    /// <summary>Provides <see cref="IFilesystemImages"/>.</summary>
    /// <param name="services">Where to.</param>
    /// <param name="spoolDirectory">Where large images lie while they are built, on a disk; null for <c>TMPDIR</c> or <c>/var/tmp</c>.</param>
    public static IServiceCollection AddFilesystemImages(this IServiceCollection services, string? spoolDirectory = null) =>
        services.AddSingleton<IFilesystemImages>(new ErofsFilesystemImages(spoolDirectory));
}
