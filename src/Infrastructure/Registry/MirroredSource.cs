using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Registry;

/// <summary>Another registry that has a registry's repositories under the same names.</summary>
internal sealed class Mirror(string registry, bool insecure)
{
    private const string PlainHttp = "http://";

    /// <summary>A dead mirror costs its retries once, not for every blob. Arbitrary.</summary>
    private static readonly TimeSpan Rest = TimeSpan.FromMinutes(1);

    /// <summary>UTC ticks.</summary>
    private long _restsUntil;

    public string Registry { get; } = registry;

    /// <summary>Plain HTTP is acceptable.</summary>
    public bool Insecure { get; } = insecure;

    /// <summary>It could not be reached a moment ago, and is not asked meanwhile.</summary>
    public bool IsResting(DateTimeOffset now) => Volatile.Read(ref _restsUntil) > now.UtcTicks;

    public void BeginRest(DateTimeOffset now) => Volatile.Write(ref _restsUntil, (now + Rest).UtcTicks);

    public static Mirror Parse(string text) =>
        text.StartsWith(PlainHttp, StringComparison.Ordinal) ? new Mirror(text[PlainHttp.Length..].TrimEnd('/'), insecure: true) : new Mirror(text, insecure: false);
}

/// <summary>
/// Reads from the mirrors in their order and from the registry itself when none has what is asked for, or can be reached. What is read by digest is checked as always, so
/// a mirror can be slow or stale but not wrong: one that sent a damaged blob, which shows at its end, rests, so that the next attempt goes elsewhere. A tag means what the first mirror that knows it says.
/// </summary>
internal sealed class MirroredSource(IReadOnlyList<(Mirror Mirror, IImageSource Source)> mirrors, IImageSource origin, TimeProvider time, ILogger logger) : IImageSource
{
    public string DisplayName => origin.DisplayName;

    public Task<ManifestBlob> ResolveAsync(CancellationToken cancellationToken) => FirstAsync(source => source.ResolveAsync(cancellationToken));

    public Task<ManifestBlob> GetManifestAsync(Descriptor descriptor, CancellationToken cancellationToken) => FirstAsync(source => source.GetManifestAsync(descriptor, cancellationToken));

    public Task<Stream> OpenBlobAsync(Descriptor descriptor, CancellationToken cancellationToken) => FirstAsync(source => source.OpenBlobAsync(descriptor, cancellationToken));

    public Task<Stream> OpenBlobRangeAsync(Descriptor descriptor, long offset, long length, CancellationToken cancellationToken) =>
        FirstAsync(source => source.OpenBlobRangeAsync(descriptor, offset, length, cancellationToken));

    public async ValueTask DisposeAsync()
    {
        foreach ((_, IImageSource source) in mirrors)
        {
            await source.DisposeAsync();
        }

        await origin.DisposeAsync();
    }

    private async Task<T> FirstAsync<T>(Func<IImageSource, Task<T>> read)
    {
        foreach ((Mirror mirror, IImageSource source) in mirrors)
        {
            if (mirror.IsResting(time.GetUtcNow()))
            {
                continue;
            }

            try
            {
                return await read(source);
            }
            catch (FailureException e)
            {
                logger.MirrorSkipped(mirror.Registry, origin.DisplayName, e.Message);
                if (e.Error.Kind == ErrorKind.Unavailable)
                {
                    mirror.BeginRest(time.GetUtcNow());
                }
            }
        }

        return await read(origin);
    }
}
