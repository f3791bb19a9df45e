namespace Starlight.Infrastructure.Grpc;

/// <summary>What a call needs besides its message.</summary>
public readonly record struct GrpcCallOptions
{
    /// <summary>Sent as <c>grpc-timeout</c> and enforced here too; null waits for as long as it takes.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>ASCII metadata such as <c>containerd-namespace</c>. Names are lower case.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}
