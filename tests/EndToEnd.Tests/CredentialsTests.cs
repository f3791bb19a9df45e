using System.Text;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 2, "what shows it", 6: wrong registry credentials. A stack of its own: its registry asks for a password.</summary>
[Collection(nameof(StackCollection))]
public sealed class CredentialsTests
{
    private const string User = "reader";
    private const string Password = "right";

    [Fact]
    public async Task Notify_WithWrongThenRightCredentials_FailsThenSucceeds()
    {
        await using StarlightStack stack = await StarlightStack.StartAsync((User, Password));
        Login(stack, Password);
        string reference = await SampleImage.PushAsync(stack, "private/app:1", 1);

        foreach (string? wrong in new[] { "wrong", null })
        {
            Login(stack, wrong);
            ProcessOutcome outcome = await stack.Cli("notify", "-q", reference);
            outcome.ExitCode.ShouldBe(5, outcome.ErrorOutput);
            outcome.Output.ShouldBeEmpty();
            outcome.ErrorOutput.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length.ShouldBe(1, outcome.ErrorOutput);
            outcome.ErrorOutput.ShouldStartWith("ctr-starlight: ");
            outcome.ErrorOutput.ShouldContain(stack.Registry.Host);
            outcome.ErrorOutput.ShouldNotContain("wrong");
            (await stack.Cli("pull", "-q", reference)).ExitCode.ShouldBe(3);
        }

        Login(stack, Password);
        await stack.NotifyAsync(reference);
        await stack.PullWholeAsync(reference);
        (await stack.RunAsync(reference, ["/bin/sh", "-c", "echo works"])).ShouldBe("works\n");
    }

    /// <summary>What <c>docker login</c> leaves.</summary>
    private static void Login(StarlightStack stack, string? password)
    {
        string account = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{User}:{password}"));
        File.WriteAllText(
            Path.Combine(stack.DockerConfigDirectory, "config.json"),
            password is null ? "{}" : $$"""{"auths":{"{{stack.Registry.Host}}":{"auth":"{{account}}"} } }""");
    }
}
