using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Registry;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Registry;

/// <summary>The adapter behind its own door, with a clock that does not wait and without this machine's Docker logins.</summary>
internal sealed class RegistryHarness : IAsyncDisposable
{
    private readonly ServiceProvider _provider;

    public RegistryHarness(RegistryOptions? options = null)
    {
        options ??= new RegistryOptions();
        _provider = new ServiceCollection()
            .AddSingleton<TimeProvider>(Time)
            .AddImageTransports(options with { DockerConfigDirectory = options.DockerConfigDirectory ?? "/nonexistent" })
            .BuildServiceProvider();
    }

    public InstantTime Time { get; } = new();

    public IImageTransports Transports => _provider.GetRequiredService<IImageTransports>();

    public IImageSource Source(string reference, bool insecure = false) => Transports.OpenSource(ImageReference.Parse(reference).Value, new RegistryAccess(insecure));

    public IImageDestination Destination(string reference, bool insecure = false) => Transports.OpenDestination(ImageReference.Parse(reference).Value, new RegistryAccess(insecure));

    public static Descriptor Layer(byte[] content) => new(MediaTypes.OciLayerGzip, Digest.Of(content), content.Length);

    public static byte[] RandomBytes(int length, int seed = 1)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public static Func<CancellationToken, Task<Stream>> Opener(byte[] content) => _ => Task.FromResult<Stream>(new MemoryStream(content));

    public static async Task<byte[]> ReadAllAsync(Task<Stream> opening)
    {
        await using Stream stream = await opening;
        using MemoryStream copy = new();
        await stream.CopyToAsync(copy);
        return copy.ToArray();
    }

    public static async Task<Error> FailureOfAsync(Func<Task> action) => (await Should.ThrowAsync<FailureException>(action)).Error;

    public ValueTask DisposeAsync() => _provider.DisposeAsync();
}

/// <summary>Collects what was reported, at once and on the caller's thread.</summary>
internal sealed class ProgressSum : IProgress<long>
{
    private long _total;

    public long Total => Interlocked.Read(ref _total);

    public void Report(long value) => Interlocked.Add(ref _total, value);
}
