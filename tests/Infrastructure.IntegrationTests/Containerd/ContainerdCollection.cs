using System.Globalization;
using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Infrastructure.Containerd;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Containerd;

/// <summary>One private containerd for the tests of this folder; each test has a namespace of its own.</summary>
public sealed class ContainerdFixture : IAsyncLifetime
{
    private ContainerdServer? _server;
    private ContainerdRuntime? _runtime;
    private int _namespaces;

    public ContainerdServer Server => _server!;

    public ContainerdRuntime Runtime => _runtime!;

    public async Task InitializeAsync()
    {
        _server = await ContainerdServer.StartAsync();
        _runtime = new ContainerdRuntime(_server.Address);
    }

    public async Task DisposeAsync()
    {
        _runtime?.Dispose();
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }

    public Task<ContainerdClient> NewNamespaceAsync() =>
        Runtime.OpenNamespaceAsync(string.Create(CultureInfo.InvariantCulture, $"test-{Interlocked.Increment(ref _namespaces)}"), CancellationToken.None);
}

[CollectionDefinition(nameof(ContainerdCollection))]
public sealed class ContainerdCollection : ICollectionFixture<ContainerdFixture>;

/// <summary>Blobs for tests.</summary>
internal static class Blob
{
    public static readonly Dictionary<string, string> NoLabels = new(StringComparer.Ordinal);

    public static (Descriptor Descriptor, byte[] Content) Text(string text, string mediaType = "application/octet-stream")
    {
        byte[] content = Encoding.UTF8.GetBytes(text);
        return (new Descriptor(mediaType, Digest.Of(content), content.Length), content);
    }

    /// <summary>Reproducible bytes that do not repeat.</summary>
    public static (Descriptor Descriptor, byte[] Content) Random(int size, int seed)
    {
        byte[] content = new byte[size];
        new Random(seed).NextBytes(content);
        return (new Descriptor("application/octet-stream", Digest.Of(content), size), content);
    }
}
