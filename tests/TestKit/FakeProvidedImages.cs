using System.Collections.Concurrent;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;

namespace Starlight.TestKit;

/// <summary>Provides the chains a test gives it, and remembers what it was asked.</summary>
public sealed class FakeProvidedImages : IProvidedImages
{
    private readonly ConcurrentDictionary<string, string?> _attached = [];

    /// <summary>Chain ID → layers. A chain in here is provided.</summary>
    public ConcurrentDictionary<string, RootFilesystemLayers> Chains { get; } = [];

    /// <summary>Thrown by every ProvidesAsync while set.</summary>
    public Exception? ProvidesFailure { get; set; }

    public Error? AttachFailure { get; set; }

    /// <summary>Makes one directory of layers.</summary>
    public Func<RootFilesystemLayers, string> OneDirectory { get; set; } = layers => layers.MetadataDirectory;

    /// <summary>Runs inside AttachAsync.</summary>
    public Func<Task>? OnAttach { get; set; }

    public ConcurrentQueue<RemoteLayerRequest> Asked { get; } = [];

    /// <summary>Keys attached and not detached.</summary>
    public ICollection<string> Attached => _attached.Keys;

    public ConcurrentQueue<string> Released { get; } = [];

    public async Task<bool> ProvidesAsync(RemoteLayerRequest request, CancellationToken cancellationToken)
    {
        Asked.Enqueue(request);
        await Task.Yield();
        return ProvidesFailure is null ? Chains.ContainsKey(request.ChainId) : throw ProvidesFailure;
    }

    public async Task<Result<RootFilesystemLayers>> AttachAsync(string chainId, string snapshotKey, bool inOneDirectory, CancellationToken cancellationToken)
    {
        if (OnAttach is not null)
        {
            await OnAttach();
        }

        if (AttachFailure is not null)
        {
            return AttachFailure;
        }

        if (!Chains.TryGetValue(chainId, out RootFilesystemLayers? layers))
        {
            return new Error("Fake.UnknownChain", chainId, ErrorKind.NotFound);
        }

        _attached[snapshotKey] = chainId;
        return inOneDirectory ? new RootFilesystemLayers(OneDirectory(layers), null, null) : layers;
    }

    public void Detach(string snapshotKey) => _attached.TryRemove(snapshotKey, out _);

    /// <summary>Runs inside ReleaseAsync, after others had their chance to get in between.</summary>
    public Action<string>? OnRelease { get; set; }

    public async Task ReleaseAsync(string chainId, CancellationToken cancellationToken)
    {
        Released.Enqueue(chainId);
        await Task.Yield();
        OnRelease?.Invoke(chainId);
    }

    /// <summary>What ListQuiet answers.</summary>
    public IReadOnlyList<string> Quiet { get; set; } = [];

    public IReadOnlyList<string> ListQuiet(TimeSpan quiet) => Quiet;

    public Task<(long Size, long Inodes)> UsageAsync(string chainId, CancellationToken cancellationToken) => Task.FromResult((12345L, 67L));
}
