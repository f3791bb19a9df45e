using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Grpc;

/// <summary>How messages speak of the process at the other end of a channel.</summary>
/// <param name="Name">E.g. <c>containerd</c>.</param>
/// <param name="CodePrefix">First half of error codes about reaching it, e.g. <c>Containerd</c> in <c>Containerd.NotRunning</c>.</param>
/// <param name="Hint">What to do when it does not run, e.g. <c>start it or give --containerd</c>.</param>
public sealed record GrpcPeer(string Name, string CodePrefix, string Hint)
{
    /// <summary>The daemon as the CLI sees it.</summary>
    public static GrpcPeer Daemon { get; } = new("starlight-daemon", "Daemon", "start it (systemctl start starlight-daemon) or give its socket with --address");

    /// <summary>containerd as the daemon sees it.</summary>
    public static GrpcPeer Containerd { get; } = new("containerd", "Containerd", "start it or give its socket with --containerd");

    internal Error NotRunning(string address) => new($"{CodePrefix}.NotRunning", $"{Name} is not running at {address}: {Hint}", ErrorKind.Unavailable);

    internal Error NotPermitted(string address) =>
        new($"{CodePrefix}.NotPermitted", $"no permission to connect to {Name} at {address}: run as root or as the owner of the socket", ErrorKind.PermissionDenied);

    internal Error ConnectionLost(string address, string why) =>
        new($"{CodePrefix}.ConnectionLost", $"the connection to {Name} at {address} broke ({why}): see its log, then try again", ErrorKind.Unavailable);

    internal Error NotGrpc(string address, string why) =>
        new($"{CodePrefix}.NotGrpc", $"what listens at {address} does not answer as {Name} does ({why}): {Hint}", ErrorKind.Unavailable);

    internal Error TimedOut(string address, TimeSpan timeout) =>
        new("Grpc.DeadlineExceeded", $"{Name} at {address} did not answer within {timeout.TotalSeconds:0.###} s", ErrorKind.Cancelled);
}
