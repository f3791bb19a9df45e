using System.CommandLine;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Cli.Commands;
using Starlight.Presentation.Cli.Output;

namespace Starlight.Presentation.Cli;

/// <summary>The tree of commands and the one place where failures become a line on standard error and an exit code.</summary>
internal static class CommandLine
{
    public static RootCommand Build()
    {
        GlobalOptions global = new();
        return new RootCommand("Starlight: containers that start while their content is still arriving.")
        {
            global.Namespace,
            global.Address,
            VersionCommand.Build(global),
            ConvertCommand.Build(global),
            NotifyCommand.Build(global),
            PullCommand.Build(global),
            OptimizerCommand.Build(global),
            ReportCommand.Build(global),
            OrderCommand.Build(global),
            AddProxyCommand.Build(global),
            ListProxyCommand.Build(global),
            TestCommand.Build(global),
        };
    }

    public static async Task<int> RunAsync(string[] args)
    {
        InvocationConfiguration configuration = new() { EnableDefaultExceptionHandler = false };
        ParseResult parse = Build().Parse(args);
        try
        {
            return await parse.InvokeAsync(configuration);
        }
        catch (FailureException e)
        {
            await Console.Error.WriteLineAsync($"ctr-starlight: {e.Error.Message}");
            return ExitCodes.Of(e.Error.Kind);
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("ctr-starlight: interrupted");
            return ExitCodes.Interrupted;
        }
    }
}
