using System.CommandLine;
using System.CommandLine.Help;
using System.Text;
using Starlight.Presentation.Proxy;
using Starlight.Presentation.Worker.Configuration;
using Starlight.TestKit;

namespace Starlight.Architecture.Tests.Approved;

/// <summary>What people type: the help of every command of the three programs.</summary>
public sealed class HelpTests
{
    [Fact]
    public void CommandLine_Help_IsAsApproved() => ApprovedFile.Matches("ctr-starlight.help", HelpOf("ctr-starlight", Presentation.Cli.CommandLine.Build()));

    [Fact]
    public void Proxy_Help_IsAsApproved() => ApprovedFile.Matches("starlight-proxy.help", HelpOf("starlight-proxy", ProxyCommand.Create((_, _) => Task.FromResult(0))));

    [Fact]
    public void Daemon_Help_IsAsApproved() => ApprovedFile.Matches("starlight-daemon.help", HelpOf("starlight-daemon", new DaemonArguments().Build((_, _, _) => Task.FromResult(0))));

    private static string HelpOf(string program, RootCommand root)
    {
        // independent of the terminal that the tests run in
        HelpAction help = (HelpAction)root.Options.OfType<HelpOption>().Single().Action!;
        help.MaxWidth = 160;
        StringBuilder text = new();
        foreach (string[] command in (string[][])[[], .. root.Subcommands.Select(c => new[] { c.Name })])
        {
            StringWriter output = new();
            root.Parse([.. command, "--help"]).Invoke(new InvocationConfiguration { Output = output }).ShouldBe(0);
            text.Append($"$ {string.Join(' ', [program, .. command])} --help\n");
            foreach (string line in output.ToString().ReplaceLineEndings("\n").TrimEnd('\n').Split('\n'))
            {
                text.Append(line.Replace(RootCommand.ExecutableName, program, StringComparison.Ordinal).TrimEnd()).Append('\n');
            }

            text.Append('\n');
        }

        return text.ToString();
    }
}
