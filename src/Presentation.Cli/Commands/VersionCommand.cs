using System.CommandLine;
using System.Reflection;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;
using Starlight.Presentation.Cli.Output;

namespace Starlight.Presentation.Cli.Commands;

/// <summary><c>ctr-starlight version</c>: this program's version, and the daemon's if it runs.</summary>
internal static class VersionCommand
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public static Command Build(GlobalOptions global)
    {
        Command command = new("version", "Show the versions of this program and of the daemon.");
        command.SetAction(async (parse, cancellationToken) =>
        {
            Console.WriteLine($"ctr-starlight     {Own()}");
            using GrpcChannel channel = global.Connect(parse);
            try
            {
                GetVersionResponse daemon = await channel.UnaryAsync(DaemonMethods.GetVersion, new GetVersionRequest(), new GrpcCallOptions { Timeout = Patience }, cancellationToken);
                Console.WriteLine($"starlight-daemon  {Joined(daemon.Version, daemon.Commit)}");
                Console.WriteLine($"containerd        {(daemon.ContainerdVersion.Length == 0 ? "not running" : daemon.ContainerdVersion)}");
                Console.WriteLine($"kernel            {daemon.Kernel}");
                MountLines.Print("mount mode        ", daemon);
                Console.WriteLine($"default proxy     {(daemon.DefaultProxyProfile.Length == 0 ? "none: add one with add-proxy" : daemon.DefaultProxyProfile)}");
            }
            catch (FailureException e) when (e.Error.Code == "Daemon.NotRunning")
            {
                // the version of this program is known all the same: not a failure
                Console.WriteLine($"starlight-daemon  not running at {channel.Address}");
            }

            return 0;
        });
        return command;
    }

    public static string Own()
    {
        string[] parts = (typeof(VersionCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown").Split('+', 2);
        return Joined(parts[0], parts.Length > 1 ? parts[1] : "");
    }

    private static string Joined(string version, string commit) => commit.Length == 0 ? version : $"{version} ({commit[..Math.Min(12, commit.Length)]})";
}
