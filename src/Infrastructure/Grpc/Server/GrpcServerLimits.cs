namespace Starlight.Infrastructure.Grpc;

/// <summary>Registered as a singleton to change the defaults of every method mapped.</summary>
/// <param name="MaxReceiveMessageSize">Longest request message in bytes; a longer one fails with RESOURCE_EXHAUSTED before it is buffered.</param>
public sealed record GrpcServerLimits(int MaxReceiveMessageSize = GrpcProtocol.DefaultMaxMessageSize);
