using System.Globalization;
using System.Net.Sockets;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

/// <summary>kill -9 at any point leaves no wrong content: a real process is killed again and again while it indexes, evicts, refills and builds.</summary>
public sealed class KilledProxyTests(ProxyFixture fixture) : IClassFixture<ProxyFixture>
{
    private const int Kills = 8;

    [Fact]
    public async Task Proxy_KilledAgainAndAgain_ServesTheSameBytesAsOneThatWasNot()
    {
        using ScratchDirectory data = new();
        (ImagePusher pusher, string name) = fixture.NewRepository();
        byte[][] expected = new byte[3][];
        for (int i = 0; i < expected.Length; i++)
        {
            await pusher.ImageAsync($"v{i}", [ProxyFixture.Layer(200 + i, [.. Enumerable.Range(0, 150).Select(f => ($"f/{f.ToString(CultureInfo.InvariantCulture)}", ProxyFixture.Noise((1000 * i) + f, 20_000)))])]);
            await fixture.Proxy.NotifyAsync($"{name}:v{i}");
            expected[i] = await fixture.Proxy.DeltaAsync($"to={name}:v{i}");
        }

        Random random = new(1);
        for (int kill = 0; kill < Kills; kill++)
        {
            await using ServerProgram proxy = await StartAsync(data.Path);
            using HttpClient http = new() { BaseAddress = AddressOf(proxy) };
            Task work = Task.WhenAll(Enumerable.Range(0, expected.Length).Select(i => WorkAsync(http, $"{name}:v{i}")));
            await Task.WhenAny(work, Task.Delay(random.Next(20, 900)));
            await proxy.KillAsync();
            await work;
        }

        // What was left is read as it is: a content that is wrong under its name would show.
        await using ServerProgram last = await StartAsync(data.Path);
        using HttpClient client = new() { BaseAddress = AddressOf(last) };
        for (int i = 0; i < expected.Length; i++)
        {
            (await client.PostAsync($"/starlight/notify?ref={name}:v{i}", null)).IsSuccessStatusCode.ShouldBeTrue();
            (await client.GetByteArrayAsync($"/starlight/delta?to={name}:v{i}&platform=linux/amd64")).ShouldBe(expected[i]);
        }

        Directory.GetFiles(Path.Combine(data.Path, "contents", "tmp")).ShouldBeEmpty();
        last.Log.ShouldNotContain("was damaged");
    }

    /// <summary>Ends with the proxy, whatever it was doing.</summary>
    private static async Task WorkAsync(HttpClient http, string reference)
    {
        try
        {
            await http.PostAsync($"/starlight/notify?ref={reference}", null);
            await http.GetByteArrayAsync($"/starlight/delta?to={reference}&platform=linux/amd64");
            await http.PostAsync("/starlight/admin/gc?grace=0", null);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            // It was killed; HttpClient (10.0) lets a connection that is reset just as it is made out as a bare SocketException.
        }
    }

    private static Uri AddressOf(ServerProgram proxy) => new(proxy.Log.Split('\n').First(l => l.Contains(" listens on http", StringComparison.Ordinal)).Split(" listens on ")[1].Split(',')[0]);

    private static Task<ServerProgram> StartAsync(string data) => ServerProgram.StartAsync(
        [.. StarlightProgram.Proxy, "--host", "127.0.0.1", "--port", "0", "--data-dir", data, "--store-limit", "8MB"],
        line => line.Contains(" listens on http", StringComparison.Ordinal),
        TimeSpan.FromSeconds(60));
}
