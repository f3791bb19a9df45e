using System.Net.Http.Headers;

namespace Starlight.Infrastructure.Registry;

/// <summary>One request to a registry. It holds no state of its sending, so it can be sent again (after a redirect, a challenge or a fault).</summary>
/// <param name="Method">HTTP method.</param>
/// <param name="Path">Below the registry's root, e.g. <c>v2/library/redis/manifests/7</c>.</param>
/// <param name="Scope">What a token must allow, e.g. <c>repository:library/redis:pull</c>; several are separated by spaces; empty for none.</param>
/// <param name="Subject">How errors name what is asked for, e.g. <c>image redis:7</c>.</param>
internal sealed record RegistryRequest(HttpMethod Method, string Path, string Scope, string Subject)
{
    /// <summary>An absolute address that the registry gave for this step of an upload; it replaces <see cref="Path"/>.</summary>
    public Uri? Location { get; init; }

    public IReadOnlyList<string> Accept { get; init; } = [];

    public RangeHeaderValue? Range { get; init; }

    /// <summary>Makes the body anew for each sending, which disposes it; null for none.</summary>
    public Func<CancellationToken, Task<HttpContent>>? Content { get; init; }

    public static string Pull(string repository) => $"repository:{repository}:pull";

    public static string Push(string repository) => $"repository:{repository}:pull,push";
}
