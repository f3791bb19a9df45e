using System.CommandLine;
using System.Globalization;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;
using Starlight.Presentation.Cli.Output;

namespace Starlight.Presentation.Cli.Commands;

/// <summary><c>ctr-starlight test [PROFILE]</c>: can the daemon reach the proxy, how far is it, and how are containers mounted?</summary>
internal static class TestCommand
{
    public static Command Build(GlobalOptions global)
    {
        Argument<string?> profile = new("PROFILE") { Description = "proxy profile [default: the default profile]", Arity = ArgumentArity.ZeroOrOne };
        Command command = new("test", "Check the connection from the daemon to the proxy, and how this machine mounts containers.") { profile };
        command.Aliases.Add("ping");
        command.SetAction(async (parse, cancellationToken) =>
        {
            using GrpcChannel channel = global.Connect(parse);
            PingTestResponse pong = await channel.UnaryAsync(DaemonMethods.PingTest, new PingTestRequest { ProxyProfile = parse.GetValue(profile) ?? "" }, default, cancellationToken);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{pong.Profile} ({pong.Endpoint}): starlight-proxy {pong.ProxyVersion}, {pong.LatencyMs:0.0} ms"));
            MountLines.Print("mount mode: ", await channel.UnaryAsync(DaemonMethods.GetVersion, new GetVersionRequest(), default, cancellationToken));
            return 0;
        });
        return command;
    }
}
