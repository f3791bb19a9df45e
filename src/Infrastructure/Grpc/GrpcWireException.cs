namespace Starlight.Infrastructure.Grpc;

/// <summary>
/// The bytes or headers of a call break the protocol. Never leaves the gRPC layer: a server answers with <see cref="Status"/>, a client turns it into a
/// <see cref="Domain.SharedKernel.FailureException"/>.
/// </summary>
internal sealed class GrpcWireException(GrpcStatusCode status, string code, string message, Exception? inner = null) : Exception(message, inner)
{
    public GrpcStatusCode Status { get; } = status;

    /// <summary>Stable code, as in <see cref="Domain.SharedKernel.Error.Code"/>.</summary>
    public string Code { get; } = code;
}
