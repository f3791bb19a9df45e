using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Worker;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Fuse;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.Objects;

namespace Starlight.Infrastructure.WorkerImages;

public static class DependencyInjection
{
    /// <summary>
    /// The image library with its object store and arrival gate. Needs IFilesystemImages. Opening happens when the library is first asked for. Disposal goes in reverse: receptions stop and trees are unmounted before the
    /// gate goes.
    /// </summary>
    public static IServiceCollection AddWorkerImages(this IServiceCollection services, WorkerLayout layout, MountCapabilities capabilities)
    {
        services.AddSingleton(layout);
        services.AddSingleton(capabilities);
        services.AddSingleton(_ => new ObjectStore(layout.ObjectsDirectory));
        services.AddSingleton(provider => new ArrivalBoard(provider.GetRequiredService<ObjectStore>(), provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton(provider => ArrivalGate.Mount(
            provider.GetRequiredService<ArrivalBoard>(), layout.GateDirectory, provider.GetRequiredService<ILogger<ArrivalGate>>(), provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<ImageLibrary>();
        services.AddSingleton<IWorkerImages>(provider => provider.GetRequiredService<ImageLibrary>());
        services.AddSingleton<IBundleBases>(provider => provider.GetRequiredService<ImageLibrary>());
        services.AddSingleton<IProvidedImages>(provider => provider.GetRequiredService<ImageLibrary>());
        return services;
    }
}
