using FluentValidation;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Worker;
using Starlight.Application.Behaviours;
using Starlight.Application.Delta;
using Starlight.Application.Indexing;
using Starlight.Application.Maintenance;
using Starlight.Application.Notify;
using Starlight.Application.OnDemand;
using Starlight.Application.Preparation;
using Starlight.Application.Pull;
using Starlight.Application.Refill;
using Starlight.Application.Report;

namespace Starlight.Application;

public static class DependencyInjection
{
    /// <summary>
    /// Registers every use case. Handlers are created when their request is first sent, so a host only has to provide the ports of the
    /// use cases it offers; sending one whose ports are absent fails with a message that names the port.
    /// </summary>
    public static IServiceCollection AddApplication(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddTransient<ServiceFactory>(provider => provider.GetRequiredService);
        services.AddScoped<IMediator, Mediator>();

        // The pipeline around every use case, outermost first.
        services.AddTransient(typeof(IPipelineBehavior<,>), typeof(LoggingBehaviour<,>));
        services.AddTransient(typeof(IPipelineBehavior<,>), typeof(FailureBehaviour<,>));
        services.AddTransient(typeof(IPipelineBehavior<,>), typeof(ValidationBehaviour<,>));

        ServiceCollection scanned = new();
        scanned.Scan(scan => scan.FromAssemblies(typeof(DependencyInjection).Assembly)
            .AddClasses(c => c.AssignableTo(typeof(IRequestHandler<,>)), publicOnly: false).AsImplementedInterfaces().WithTransientLifetime()
            .AddClasses(c => c.AssignableTo(typeof(IValidator<>)), publicOnly: false).AsImplementedInterfaces().WithTransientLifetime());
        foreach (ServiceDescriptor descriptor in scanned)
        {
            services.Add(Deferred(descriptor));
        }

        AddDeferredSingleton<ImageResolver>(services);
        AddDeferredSingleton<LayerIndexer>(services);
        AddDeferredSingleton<LayerRefill>(services);
        services.AddSingleton(provider => new ContentSupply(provider.GetRequiredService<IImageCatalog>(), provider.GetRequiredService<IContentStore>(), provider.GetRequiredService<LayerRefill>(), provider.GetRequiredService<TimeProvider>()));
        AddDeferredSingleton<ImageAssembler>(services);
        AddDeferredSingleton<ReadableImages>(services);
        AddDeferredSingleton<ImageIndexer>(services);
        AddDeferredSingleton<SharedNotifications>(services);
        AddDeferredSingleton<GarbageCollector>(services);
        AddDeferredSingleton<ClaimedWork>(services);
        services.AddSingleton<ImagesToPrepare>();
        AddDeferredSingleton<ChangedOrders>(services);
        AddDeferredSingleton<WorkerVersions>(services);
        AddDeferredSingleton<NextBundles>(services);
        AddDeferredSingleton<ImageShelf>(services);
        AddDeferredSingleton<PlannedDeltas>(services);
        AddDeferredSingleton<KnownNames>(services);
        AddDeferredSingleton<ImageUse>(services);
        AddDeferredSingleton<LearnedOrders>(services);
        AddDeferredSingleton<ImageRegistrar>(services);
        AddDeferredSingleton<ImageFetch>(services);
        services.AddSingleton(provider => new ChainFetch(
            provider.GetRequiredService<IWorkerImages>(), provider.GetRequiredService<IProxyProfiles>(), provider.GetRequiredService<ImageFetch>(), provider.GetRequiredService<ILogger<ChainFetch>>()));
        return services;
    }

    /// <summary>
    /// Lets what the snapshotter is asked for be fetched when it is first asked for. After the adapter of <see cref="IProvidedImages"/>, which this wraps, and after
    /// <see cref="AddApplication"/>.
    /// </summary>
    public static IServiceCollection AddOnDemandImages(this IServiceCollection services) =>
        services.Decorate<IProvidedImages, MissingTrees>().Decorate<IProvidedImages, RemoteLayers>();

    private static void AddDeferredSingleton<T>(IServiceCollection services)
        where T : class => services.AddSingleton(provider => ActivatorUtilities.CreateInstance<T>(provider));

    /// <summary>Hides the constructor from the container's start-up validation, which would ask for the ports of all use cases.</summary>
    private static ServiceDescriptor Deferred(ServiceDescriptor descriptor)
    {
        ObjectFactory factory = ActivatorUtilities.CreateFactory(descriptor.ImplementationType!, Type.EmptyTypes);
        return ServiceDescriptor.Describe(descriptor.ServiceType, provider => factory(provider, null), descriptor.Lifetime);
    }
}
