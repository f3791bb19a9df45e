using System.CommandLine;
using System.Globalization;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;

namespace Starlight.Presentation.Cli.Commands;

/// <summary><c>ctr-starlight optimizer on|off|status</c>: have it recorded what containers open.</summary>
internal static class OptimizerCommand
{
    public static Command Build(GlobalOptions global)
    {
        Option<string> group = new("--group", "-g") { Description = "containers traced under one name are deployed together: their contents are sent in one interleaved order" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "print nothing on success" };
        Command on = new("on", "Trace every container that is created from now on.") { group, quiet };
        on.SetAction(async (parse, cancellationToken) =>
        {
            string name = parse.GetValue(group) ?? "";
            if (parse.GetValue(group) is { } given && TraceGroup.CheckName(given) is { IsSuccess: false } refused)
            {
                throw new FailureException(refused.Error); // an empty one would mean none to the daemon
            }

            await SetAsync(global, parse, new SetOptimizerRequest { Enable = true, Group = name }, cancellationToken);
            if (!parse.GetValue(quiet))
            {
                Console.WriteLine($"optimizer on{(name.Length > 0 ? $", group {name}" : "")}: containers created from now on are traced");
            }

            return 0;
        });
        Command off = new("off", "End tracing; the traces wait for 'ctr-starlight report'.") { quiet };
        off.SetAction(async (parse, cancellationToken) =>
        {
            OptimizerState state = await SetAsync(global, parse, new SetOptimizerRequest(), cancellationToken);
            if (!parse.GetValue(quiet))
            {
                Console.WriteLine($"optimizer off: {state.FinishedNow.Count} traces finished, {state.Finished.Count} wait to be reported");
                PrintTraces(state.Finished.Where(t => state.FinishedNow.Contains(t.Id)));
            }

            return 0;
        });
        Command status = new("status", "Show what is being traced and what waits to be reported.");
        status.SetAction(async (parse, cancellationToken) =>
        {
            using GrpcChannel channel = global.Connect(parse);
            OptimizerState state = await channel.UnaryAsync(DaemonMethods.GetOptimizerState, new GetOptimizerStateRequest(), default, cancellationToken);
            Console.WriteLine($"optimizer {(state.Enabled ? "on" : "off")}{(state.Group.Length > 0 ? $", group {state.Group}" : "")}");
            Console.WriteLine($"tracing {state.Running.Count}");
            PrintTraces(state.Running);
            Console.WriteLine($"waiting to be reported {state.Finished.Count}");
            PrintTraces(state.Finished);
            return 0;
        });
        return new Command("optimizer", "Record which files containers open, so that these arrive first.") { on, off, status };
    }

    private static async Task<OptimizerState> SetAsync(GlobalOptions global, ParseResult parse, SetOptimizerRequest request, CancellationToken cancellationToken)
    {
        using GrpcChannel channel = global.Connect(parse);
        return await channel.UnaryAsync(DaemonMethods.SetOptimizer, request, default, cancellationToken);
    }

    private static void PrintTraces(IEnumerable<OptimizerState.Types.Trace> traces)
    {
        foreach (OptimizerState.Types.Trace trace in traces)
        {
            string started = DateTimeOffset.FromUnixTimeMilliseconds(trace.StartedAtMs).ToString("u", CultureInfo.InvariantCulture);
            string group = trace.Group.Length > 0 ? $", group {trace.Group}" : "";
            string asked = trace.Source == "optimizer" ? "" : $", {trace.Source}";
            Console.WriteLine($"  {trace.Reference}  {started}  {trace.Opens} contents opened, {trace.WaitedMs} ms waited{group}{asked}");
        }
    }
}
