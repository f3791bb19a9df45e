using System.CommandLine;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;

namespace Starlight.Presentation.Cli.Commands;

/// <summary><c>ctr-starlight report</c>: send finished traces, and forget those that the proxy has stored.</summary>
internal static class ReportCommand
{
    public static Command Build(GlobalOptions global)
    {
        Option<string> profile = new("--profile", "-p") { Description = "send all to this proxy [default: each to the one that its image was pulled through]" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "print nothing on success" };
        Command command = new("report", "Send finished traces to the proxy.") { profile, quiet };
        command.SetAction(async (parse, cancellationToken) =>
        {
            using GrpcChannel channel = global.Connect(parse);
            ReportTracesResponse response = await channel.UnaryAsync(DaemonMethods.ReportTraces, new ReportTracesRequest { ProxyProfile = parse.GetValue(profile) ?? "" }, default, cancellationToken);
            if (!parse.GetValue(quiet))
            {
                Print(response);
            }

            // The rest is sent by the next call; until then this one has failed.
            return response.Kept == 0
                ? 0
                : throw new FailureException(new Error("Report.Incomplete", $"{response.Kept} traces could not be sent and are kept: {response.Failure}", ErrorKind.Unavailable));
        });
        return command;
    }

    private static void Print(ReportTracesResponse response)
    {
        foreach (ReportTracesResponse.Types.Image image in response.Images)
        {
            Console.WriteLine($"{image.Reference}: {image.Traces} traces reported, {image.Opens} opens");
        }

        foreach (ReportTracesResponse.Types.Refusal refusal in response.Refusals)
        {
            Console.WriteLine($"{refusal.Reference}: a trace was refused and dropped: {refusal.Reason}");
        }

        if (response.Images.Count + response.Refusals.Count + response.Kept == 0)
        {
            Console.WriteLine("no traces wait to be reported");
        }
    }
}
