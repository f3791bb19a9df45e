using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Images.Sources;
using Starlight.Infrastructure.Registry.Authentication;

namespace Starlight.Infrastructure.Registry;

/// <summary>
/// Opens registries, layouts and archives. One per process: it keeps the connections and logins of every registry that was used.
/// </summary>
internal sealed class ImageTransports : IImageTransports, IDisposable
{
    private readonly RegistryOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly DockerCredentials _credentials;
    private readonly Lazy<HttpClient> _checked;
    private readonly Lazy<HttpClient> _unchecked;
    private readonly ConcurrentDictionary<(string Registry, bool Insecure), Lazy<RegistryClient>> _clients = new();
    private readonly ConcurrentDictionary<string, IReadOnlyList<Mirror>> _mirrors = new(StringComparer.Ordinal);

    public ImageTransports(RegistryOptions options, TimeProvider time, ILogger<ImageTransports> logger)
    {
        _options = options;
        _time = time;
        _logger = logger;
        _credentials = new DockerCredentials(options);
        _checked = new Lazy<HttpClient>(() => HttpClients.Create(options, checkCertificates: true));
        _unchecked = new Lazy<HttpClient>(() => HttpClients.Create(options, checkCertificates: false));
    }

    public async Task<IImageSource> OpenSourceAsync(string location, RegistryAccess access, CancellationToken cancellationToken)
    {
        if (LocalLocation.TryParse(location, out LocalLocation? local))
        {
            return await LocalImages.OpenAsync(local, cancellationToken);
        }

        return OpenSource(ImageReference.Parse(location, _options.DefaultRegistry).Value, access);
    }

    public IImageSource OpenSource(ImageReference reference, RegistryAccess access)
    {
        RegistrySource origin = new(Repository(reference, access), reference);
        IReadOnlyList<Mirror> mirrors = _mirrors.GetOrAdd(reference.Registry, MirrorsOf);
        return mirrors.Count == 0
            ? origin
            : new MirroredSource([.. mirrors.Select(m => (m, (IImageSource)new RegistrySource(Repository(m.Registry, reference.Repository, m.Insecure), reference, () => m.BeginRest(_time.GetUtcNow()))))], origin, _time, _logger);
    }

    public IImageDestination OpenDestination(ImageReference reference, RegistryAccess access) => new RegistryDestination(Repository(reference, access), reference);

    public void Dispose()
    {
        foreach (Lazy<RegistryClient> client in _clients.Values.Where(c => c.IsValueCreated))
        {
            client.Value.Dispose();
        }

        foreach (Lazy<HttpClient> http in new[] { _checked, _unchecked }.Where(h => h.IsValueCreated))
        {
            http.Value.Dispose();
        }
    }

    private IReadOnlyList<Mirror> MirrorsOf(string registry) =>
        [.. _options.Mirrors.Where(m => DockerCredentials.HostOf(m.Key) == DockerCredentials.HostOf(registry)).SelectMany(m => m.Value).Select(Mirror.Parse)];

    private RegistryRepository Repository(ImageReference reference, RegistryAccess access) => Repository(reference.Registry, reference.Repository, access.Insecure);

    private RegistryRepository Repository(string registry, string repository, bool insecure)
    {
        Lazy<RegistryClient> client = _clients.GetOrAdd((registry, insecure), key => new Lazy<RegistryClient>(() => new RegistryClient(
            RegistryEndpoint.For(key.Registry, key.Insecure), (key.Insecure ? _unchecked : _checked).Value, _credentials, _options, _time, _logger)));
        return new RegistryRepository(client.Value, repository);
    }
}
