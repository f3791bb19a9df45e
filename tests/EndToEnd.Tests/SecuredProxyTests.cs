using System.Text.RegularExpressions;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 4, point 5: HTTPS with a private authority, tokens, and images by account, between the real programs. A stack of its own: its proxy has accounts.</summary>
[Collection(nameof(StackCollection))]
public sealed partial class SecuredProxyTests
{
    [Fact]
    public async Task Pull_OverTlsWithAToken_GetsWhatTheTokenMayRead()
    {
        await using StarlightStack stack = await StarlightStack.StartAsync();
        using TestCertificates certificates = new(Directory.CreateDirectory(stack.Scratch("tls")).FullName);
        certificates.Issue("127.0.0.1");
        string accounts = stack.Scratch("accounts.json");
        string worker = await AddUserAsync(accounts, "edge", "--role", "pull", "--images", $"{stack.Registry.Host}/team/*");
        string build = await AddUserAsync(accounts, "build", "--role", "notify");
        await stack.StopProxyAsync();
        stack.ProxyArguments = ["--tls-cert", certificates.CertificateFile, "--tls-key", certificates.KeyFile, "--accounts", accounts];
        await stack.StartProxyAsync();
        await AddProfileAsync(stack, "worker", worker, certificates.AuthorityFile);
        await AddProfileAsync(stack, "build", build, certificates.AuthorityFile);
        await AddProfileAsync(stack, "stranger", "slp_nobody", certificates.AuthorityFile);
        await AddProfileAsync(stack, "trusting", worker, authority: null);
        string own = await SampleImage.PushAsync(stack, "team/app:1", 1);
        string other = await SampleImage.PushAsync(stack, "others/app:1", 2);

        (await Refusal(stack, "notify", "-p", "worker", own)).ShouldBe((5, "role"));
        (await stack.Cli("notify", "-q", "-p", "build", own)).Succeeded();
        (await stack.Cli("notify", "-q", "-p", "build", other)).Succeeded();
        (await Refusal(stack, "pull", "-p", "stranger", own)).ShouldBe((5, "login"));
        (await Refusal(stack, "test", "stranger")).ShouldBe((5, "login"));
        (await Refusal(stack, "pull", "-p", "trusting", own)).ShouldBe((4, "trust"));
        (await Refusal(stack, "pull", "-p", "worker", other)).ShouldBe((5, "images"));

        (await stack.Cli("pull", "-q", "--disable-early-start", "-p", "worker", own)).Succeeded();
        (await stack.RunAsync(own, ["/bin/sh", "-c", "echo works"])).ShouldBe("works\n");
        (await stack.Cli("list-proxy")).Succeeded().ShouldNotContain(worker);
    }

    private static async Task AddProfileAsync(StarlightStack stack, string name, string token, string? authority)
    {
        string[] trust = authority is null ? [] : ["--ca", authority];
        (await stack.CliWithInput(token + "\n", ["add-proxy", "-q", name, "https", $"127.0.0.1:{stack.Relay.Port}", "--token", .. trust])).Succeeded();
    }

    /// <returns>The token.</returns>
    private static async Task<string> AddUserAsync(string accounts, string name, params string[] rights)
    {
        string output = (await ProcessRunner.RunAsync(StarlightProgram.Proxy[0], [.. StarlightProgram.Proxy.Skip(1), "user", "add", name, "--token", "--accounts", accounts, .. rights])).Succeeded();
        return TokenPattern().Match(output).Value;
    }

    private static async Task<(int ExitCode, string Why)> Refusal(StarlightStack stack, params string[] arguments)
    {
        ProcessOutcome outcome = await stack.Cli(arguments);
        outcome.Output.ShouldBeEmpty();
        outcome.ErrorOutput.ShouldNotContain("slp_");
        string[] reasons = ["may not use images of", "does not have the role", "does not know the user name", "does not trust"];
        string[] names = ["images", "role", "login", "trust"];
        return (outcome.ExitCode, names.ElementAtOrDefault(Array.FindIndex(reasons, r => outcome.ErrorOutput.Contains(r, StringComparison.Ordinal))) ?? outcome.ErrorOutput);
    }

    [GeneratedRegex("slp_[A-Za-z0-9_-]{43}", RegexOptions.None, 1000)]
    private static partial Regex TokenPattern();
}
