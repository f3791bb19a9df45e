using System.Diagnostics;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>A node as Kubernetes has it: containerd's CRI plugin with Starlight as its snapshotter, and nothing else that is special.</summary>
public sealed class CriFixture : IAsyncLifetime
{
    private StarlightStack? _stack;
    private CriClient? _cri;

    public StarlightStack Stack => _stack!;

    public CriClient Cri => _cri!;

    public async Task InitializeAsync()
    {
        _stack = await StarlightStack.StartAsync(cri: true);
        await _stack.PushPauseAsync();
        _cri = new CriClient(_stack.Containerd.Address);
    }

    public async Task DisposeAsync()
    {
        if (_stack is not null)
        {
            await _stack.DisposeAsync();
        }
    }

    /// <summary>No pods and no image but the pods' own.</summary>
    public async Task ResetAsync()
    {
        Stack.Relay.Rule = RelayRule.None;
        await Cri.RemovePodsAsync();
        foreach (string image in (await Cri.ImagesAsync()).Where(i => i != Stack.PauseImage))
        {
            await Cri.RemoveImageAsync(image);
        }

        await LeavesNothingAsync();
    }

    /// <summary>Waits until containerd has collected everything and no image is left in the store.</summary>
    public async Task LeavesNothingAsync()
    {
        long started = Stopwatch.GetTimestamp();
        while (Trees().Length > 0)
        {
            if (Stopwatch.GetElapsedTime(started) > Probe.DefaultDeadline)
            {
                throw new TimeoutException($"images that should be gone: {string.Join(' ', Trees())}\n{Stack.Logs}");
            }

            await Task.Delay(50);
        }
    }

    public string[] Trees() => Directory.GetDirectories(Path.Combine(Stack.FsRoot, "images"));

    /// <summary>Requests for deltas of images of this repository that passed the relay.</summary>
    public int DeltaRequests(string repository) =>
        Stack.Relay.Requests.Count(r => r.StartsWith("GET /starlight/delta?", StringComparison.Ordinal) && Uri.UnescapeDataString(r).Contains($"to={Stack.Reference(repository)}", StringComparison.Ordinal));

    /// <summary>Requests for blobs of this repository that the registry has answered.</summary>
    public int BlobRequests(string repository) => Stack.Registry.Log.Split('\n')
        .Count(l => l.Contains("response completed", StringComparison.Ordinal) && l.Contains("http.request.method=GET", StringComparison.Ordinal) && l.Contains($"/v2/{repository}/blobs/", StringComparison.Ordinal));
}
