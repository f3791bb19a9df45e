using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Fuse;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.Tracing;

namespace Starlight.Infrastructure.WorkerImages;

public static class DependencyInjection
{
    /// <summary>
    /// The image library with its object store, root file systems and arrival gate. Needs IFilesystemImages. Opening happens when the library is first asked for. Disposal goes in reverse: receptions stop, trees are
    /// unmounted, then the gate goes.
    /// </summary>
    /// <param name="services">Where to.</param>
    /// <param name="layout">Where everything is.</param>
    /// <param name="capabilities">How containers are mounted here.</param>
    /// <param name="onlineTraces">Containers that wait for their image are traced without being asked for, see <see cref="ContainerTraces"/>.</param>
    public static IServiceCollection AddWorkerImages(this IServiceCollection services, WorkerLayout layout, MountCapabilities capabilities, bool onlineTraces = false)
    {
        services.AddSingleton(layout);
        services.AddSingleton(capabilities);
        services.AddSingleton(_ => new ObjectStore(layout.ObjectsDirectory));
        services.AddSingleton(provider => new ArrivalBoard(provider.GetRequiredService<ObjectStore>(), provider.GetRequiredService<TimeProvider>()));
        if (capabilities.EarlyStart)
        {
            services.AddSingleton(provider => ArrivalGate.Mount(
                provider.GetRequiredService<ArrivalBoard>(), layout.GateDirectory, provider.GetRequiredService<ILogger<ArrivalGate>>(), provider.GetRequiredService<TimeProvider>()));
        }

        services.AddSingleton(provider => new ContainerTraces(
            layout.TracesDirectory,
            capabilities.EarlyStart || capabilities.SeesOpens ? null : NothingSeen(capabilities),
            onlineTraces,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ContainerTraces>>()));
        services.AddSingleton<IContainerTraces>(provider => provider.GetRequiredService<ContainerTraces>());
        services.AddSingleton<ITraceLog>(provider => provider.GetRequiredService<ContainerTraces>());
        services.AddSingleton(CreateRoots);
        services.AddSingleton(provider => new ImageLibrary(
            layout,
            provider.GetRequiredService<ObjectStore>(),
            provider.GetRequiredService<ArrivalBoard>(),
            provider.GetRequiredService<ITreeRoots>(),
            provider.GetRequiredService<ContainerTraces>(),
            provider.GetRequiredService<IFilesystemImages>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ImageLibrary>>()));
        services.AddSingleton<IWorkerImages>(provider => provider.GetRequiredService<ImageLibrary>());
        services.AddSingleton<IBundleBases>(provider => provider.GetRequiredService<ImageLibrary>());
        services.AddSingleton<IProvidedImages>(provider => provider.GetRequiredService<ImageLibrary>());
        return services;
    }

    private static Error NothingSeen(MountCapabilities capabilities) => new(
        "Optimizer.NothingSeen",
        $"what containers open cannot be seen on this worker, because of how it mounts them ({capabilities.Description}): see 'ctr-starlight version' for why",
        ErrorKind.Unsupported);

    private static ITreeRoots CreateRoots(IServiceProvider provider)
    {
        MountCapabilities capabilities = provider.GetRequiredService<MountCapabilities>();
        ObjectStore objects = provider.GetRequiredService<ObjectStore>();
        ILogger<ImageLibrary> logger = provider.GetRequiredService<ILogger<ImageLibrary>>();
        ArrivalGate? gate = provider.GetService<ArrivalGate>();
        if (gate is null)
        {
            // a daemon with a gate may have been killed here
            ArrivalGate.DetachLeftover(provider.GetRequiredService<WorkerLayout>().GateDirectory, provider.GetRequiredService<ILogger<ArrivalGate>>());
        }

        return capabilities.Mode == MountMode.DirectoryTree
            ? new UnpackedRoots(objects, provider.GetRequiredService<IFilesystemImages>(), provider.GetRequiredService<TimeProvider>(), logger)
            : new OverlayRoots(capabilities, objects, gate, logger);
    }
}
