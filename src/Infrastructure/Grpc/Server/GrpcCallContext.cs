using Microsoft.AspNetCore.Http;

namespace Starlight.Infrastructure.Grpc;

/// <summary>What a handler knows about the call besides its messages.</summary>
public sealed class GrpcCallContext
{
    private readonly HttpContext _http;

    internal GrpcCallContext(HttpContext http, DateTimeOffset? deadline, CancellationToken cancellationToken)
    {
        _http = http;
        Deadline = deadline;
        CancellationToken = cancellationToken;
    }

    /// <summary>When the caller stops waiting; null if it gave no <c>grpc-timeout</c>.</summary>
    public DateTimeOffset? Deadline { get; }

    /// <summary>Fires when the caller cancels, its connection breaks or the deadline passes. A handler must pass it on: the call ends only when the handler does.</summary>
    public CancellationToken CancellationToken { get; }

    public IServiceProvider Services => _http.RequestServices;

    /// <summary>First value of a metadata entry such as <c>containerd-namespace</c>; null if absent. Names ignore case.</summary>
    public string? GetMetadata(string name) => _http.Request.Headers.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;
}
