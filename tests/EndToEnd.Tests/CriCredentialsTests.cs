using System.Text;
using Starlight.Domain.SharedKernel;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>
/// Issue 3, point 3: private registries under Kubernetes. The credentials that the kubelet hands over go from containerd to the registry and never reach a snapshotter; the
/// proxy has its own. A stack of its own: its registry asks for a password.
/// </summary>
[Collection(nameof(StackCollection))]
public sealed class CriCredentialsTests
{
    private static readonly (string User, string Password) Login = ("reader", "right");

    [Fact]
    public async Task Pod_OfAPrivateImage_RunsThroughTheProxyIfThatHasALoginAndOrdinarilyElse()
    {
        await using StarlightStack stack = await StarlightStack.StartAsync(Login, cri: true);
        string account = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{Login.User}:{Login.Password}"));
        await File.WriteAllTextAsync(Path.Combine(stack.DockerConfigDirectory, "config.json"), $$"""{"auths":{"{{stack.Registry.Host}}":{"auth":"{{account}}"} } }""");
        await stack.PushPauseAsync();
        await using CriClient cri = new(stack.Containerd.Address);
        await cri.PullAsync(stack.PauseImage, Login);
        string known = await SampleImage.PushAsync(stack, "private/known:1", 2, "echo known > which");
        string unknown = await SampleImage.PushAsync(stack, "private/unknown:1", 1, "echo unknown > which");
        await stack.NotifyAsync(known);
        string pod = await cri.RunPodAsync();

        // the proxy must not give away by its existence what the registry would refuse
        await Should.ThrowAsync<FailureException>(() => cri.PullAsync(known, ("reader", "wrong")));
        Trees(stack).ShouldBeEmpty();

        await cri.PullAsync(known, Login);
        Trees(stack).ShouldHaveSingleItem();
        await PrintsAsync(known, "known\n");

        await cri.PullAsync(unknown, Login);
        Trees(stack).ShouldHaveSingleItem();
        await PrintsAsync(unknown, "unknown\n");

        async Task PrintsAsync(string reference, string expected)
        {
            string container = await cri.StartContainerAsync(pod, reference, ["/bin/sleep", "1000"]);
            (await cri.ExecAsync(container, "/bin/cat", "/which")).ShouldBe(new ExecOutcome(0, expected, ""));
        }
    }

    private static string[] Trees(StarlightStack stack) => Directory.GetDirectories(Path.Combine(stack.FsRoot, "images"));
}
