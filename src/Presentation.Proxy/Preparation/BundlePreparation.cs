using System.Diagnostics;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Starlight.Application.Delta;
using Starlight.Application.Preparation;
using Starlight.Application.Telemetry;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Contents;
using Starlight.Infrastructure.Pacing;
using Starlight.Presentation.Proxy.Endpoints;

namespace Starlight.Presentation.Proxy.Preparation;

/// <param name="Bundles">Prepared for one notify at most; 0: none.</param>
/// <param name="OrderRest">How long an image's order must not have changed until they are prepared again.</param>
internal sealed record PreparationOptions(int Bundles, TimeSpan OrderRest);

/// <summary>
/// Builds the bundles that workers will ask for when an image was notified or its order has changed, one after the other and behind those that somebody waits for: the expensive part of an update, its patches,
/// is done when the first worker comes. What was prepared for the same workers before and nobody took goes. Lost at a stop: then the first worker waits for it, as without.
/// </summary>
internal sealed class BundlePreparation(
    ImagesToPrepare notified, NextBundles next, IServiceScopeFactory scopes, BundleCache bundles, BundleSource source, BackgroundPace pace, TimeProvider time, PreparationOptions options, ILogger<BundlePreparation> logger) : BackgroundService
{
    /// <summary>Requests whose bundles are remembered. Arbitrary; bounds memory.</summary>
    private const int MaxPrepared = 1024;

    /// <summary>What was prepared for a request; touched by <see cref="ExecuteAsync"/> only.</summary>
    private readonly Dictionary<string, string> _prepared = new(StringComparer.Ordinal);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (ImageReference image in notified.ReadAllAsync(stoppingToken))
        {
            try
            {
                await PrepareAsync(image, stoppingToken);
            }
            catch (Exception e) when (e is FailureException or IOException or UnauthorizedAccessException or ObjectDisposedException)
            {
                // Nobody waits for it: workers are served without.
                ProxyLog.NotPrepared(logger, image.ToString(), e.Message);
            }
        }
    }

    private async Task PrepareAsync(ImageReference image, CancellationToken cancellationToken)
    {
        if (options.Bundles == 0)
        {
            return;
        }

        foreach (GetDeltaQuery query in await next.FindAsync(image, options.Bundles, cancellationToken))
        {
            long started = Stopwatch.GetTimestamp();
            await using AsyncServiceScope scope = scopes.CreateAsyncScope();
            Result<DeltaBundle> planned = await scope.ServiceProvider.GetRequiredService<IMediator>().Send(query, cancellationToken);
            if (!planned.IsSuccess)
            {
                ProxyLog.NotPrepared(logger, image.ToString(), planned.Error.Message);
                continue;
            }

            DeltaBundle delta = planned.Value;
            Replace(query, delta);
            if (await bundles.PrepareAsync(delta.Identity, (output, isWanted, token) => source.WriteAheadAsync(output, delta, Pace(isWanted), token), delta.Manifests, cancellationToken))
            {
                ProxyTelemetry.PreparedBundles.Add(1);
                ProxyLog.Prepared(logger, delta.Identity, image.ToString(), string.Join(", ", query.From), Stopwatch.GetElapsedTime(started).TotalSeconds);
            }
        }
    }

    /// <summary>Another order gives the same request another bundle.</summary>
    private void Replace(GetDeltaQuery query, DeltaBundle delta)
    {
        string request = $"{string.Join(' ', delta.Images.Select(i => $"{i.Reference} {i.Manifest}"))} {string.Join(' ', query.From)} {query.Platform} {query.Patches}";
        if (_prepared.TryGetValue(request, out string? before) && before != delta.Identity)
        {
            bundles.DropUnused(before);
        }
        else if (before is null && _prepared.Count >= MaxPrepared)
        {
            // what is forgotten goes when the cache needs its room
            _prepared.Clear();
        }

        _prepared[request] = delta.Identity;
    }

    /// <summary>What is awaited before each content: a rest while somebody is being served, unless that is who waits for this bundle.</summary>
    private Func<CancellationToken, ValueTask> Pace(Func<bool> isWanted)
    {
        PacedWork work = new(pace, time);
        return async cancellationToken =>
        {
            if (!isWanted())
            {
                await work.RestAsync(cancellationToken);
                work.Resume();
            }
        };
    }
}
