using System.CommandLine;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Presentation.Cli;

/// <summary>Options of every command.</summary>
internal sealed class GlobalOptions
{
    public const string DefaultAddress = "/run/starlight/starlight-daemon.sock";

    public Option<string> Namespace { get; } = new("--namespace", "-n")
    {
        Description = "containerd namespace [env CONTAINERD_NAMESPACE; default: the daemon's]",
        Recursive = true,
    };

    public Option<string> Address { get; } = new("--address", "-a", "--addr")
    {
        Description = $"socket of starlight-daemon [env STARLIGHT_ADDRESS; default {DefaultAddress}]",
        Recursive = true,
    };


    public string NamespaceOf(ParseResult parse) =>
        parse.GetValue(Namespace) ?? Environment.GetEnvironmentVariable("CONTAINERD_NAMESPACE") ?? "";

    public GrpcChannel Connect(ParseResult parse) =>
        GrpcChannel.ForUnixSocket(parse.GetValue(Address) ?? Environment.GetEnvironmentVariable("STARLIGHT_ADDRESS") ?? DefaultAddress, GrpcPeer.Daemon);
}
