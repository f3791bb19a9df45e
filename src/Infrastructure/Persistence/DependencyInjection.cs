using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Abstractions.Scanning;
using Starlight.Infrastructure.Native;

namespace Starlight.Infrastructure.Persistence;

public static class DependencyInjection
{
    /// <summary>The catalog in SQLite or Postgres (see <see cref="CatalogDatabase"/> for the forms of the string), migrated before the host listens.</summary>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">InvalidInput <c>Catalog.ConnectionMalformed</c>.</exception>
    public static IServiceCollection AddPersistence(this IServiceCollection services, string connectionString)
    {
        CatalogDatabase database = CatalogDatabase.Parse(connectionString);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(database);
        services.TryAddSingleton(new Spool(Directory: null));
        services.AddPooledDbContextFactory<CatalogContext>(database.Configure);
        services.AddSingleton<CatalogAccess>();
        services.AddSingleton<ICatalogKeeping, CatalogKeeping>();
        services.AddSingleton<IClaims, Claims>();
        services.AddSingleton<IImageCatalog, ImageCatalog>();
        services.AddSingleton<IImageQueries, ImageQueries>();
        services.AddSingleton<ICatalogHealth, CatalogHealth>();
        services.AddSingleton<IScanJobs, ScanJobs>();
        services.AddSingleton<ITraces, Traces>();
        services.AddSingleton(provider => ActivatorUtilities.CreateInstance<SchemaMigrator>(provider));
        services.AddHostedService<CatalogStartup>();
        return services;
    }
}
