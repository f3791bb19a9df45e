using Google.Protobuf;

namespace Starlight.Infrastructure.Grpc;

/// <summary>A method with its message types, so that server and client cannot disagree about them.</summary>
/// <param name="Service">Full name with package, e.g. <c>containerd.services.content.v1.Content</c>.</param>
/// <param name="Name">E.g. <c>Read</c>.</param>
public readonly record struct GrpcMethod<TRequest, TResponse>(string Service, string Name)
    where TRequest : class, IMessage<TRequest>, new()
    where TResponse : class, IMessage<TResponse>, new()
{
    internal static MessageParser<TRequest> RequestParser { get; } = new(static () => new TRequest());

    internal static MessageParser<TResponse> ResponseParser { get; } = new(static () => new TResponse());

    /// <summary>The <c>:path</c> of its calls.</summary>
    public string Path => $"/{Service}/{Name}";
}
