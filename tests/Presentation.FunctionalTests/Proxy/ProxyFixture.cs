using System.Security.Cryptography;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>One registry and one proxy for the tests of a class; each test uses repositories of its own.</summary>
public sealed class ProxyFixture : IAsyncLifetime
{
    private int _repositories;

    public RegistryServer Registry { get; private set; } = null!;

    public RunningProxy Proxy { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Requirements.Program("docker-registry");
        Registry = await RegistryServer.StartAsync();
        Proxy = await RunningProxy.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await Proxy.DisposeAsync();
        await Registry.DisposeAsync();
    }

    public (ImagePusher Pusher, string Name) NewRepository()
    {
        string repository = $"test/image{Interlocked.Increment(ref _repositories)}";
        return (new ImagePusher(Registry.Host, repository), $"{Registry.Host}/{repository}");
    }

    /// <summary>Bytes that do not compress, the same for the same seed.</summary>
    public static byte[] Noise(int seed, int length)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>A layer with /bin/app and some contents told apart by <paramref name="seed"/>.</summary>
    public static byte[] Layer(int seed, params (string Name, byte[] Content)[] more)
    {
        TarBuilder tar = new TarBuilder().Directory("bin").File("bin/app", Noise(seed, 40_000), 0x1ed).File($"data{seed}", Noise(seed + 1000, 3_000_000));
        foreach ((string name, byte[] content) in more)
        {
            tar.File(name, content);
        }

        return tar.Build();
    }

    public static string Hex(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
