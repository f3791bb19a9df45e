using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>
/// Keeps some connections to the default proxy open and warm, in the background: on a long line it is the sender's knowledge of it, not its width, that decides how fast a pull begins
/// (docs/operations.md, "Long lines"). Each has carried some data, one after the other, so that each has seen the whole line; now and then each is asked for nothing, so that neither end
/// takes it for forgotten. A connection that is lost is made anew; while the proxy cannot be reached, more and more rarely.
/// </summary>
public sealed partial class WarmConnections : IAsyncDisposable
{
    /// <summary>One for a pull, one for contents that cannot wait, one for another pull.</summary>
    public const int DefaultCount = 3;

    /// <summary>More would not be used by anybody. Arbitrary.</summary>
    public const int MaxCount = 16;

    /// <summary>Both ends forget connections after an hour.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromMinutes(20);

    /// <summary>Between two looks at the connections: a look costs a system call each.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(5);

    private readonly StarlightProxyClient _client;
    private readonly IProxyProfiles _profiles;
    private readonly int _count;
    private readonly TimeProvider _time;
    private readonly ILogger<WarmConnections> _logger;
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;

    /// <param name="client">Whose connections.</param>
    /// <param name="profiles">Which proxy is the default one is looked up each time.</param>
    /// <param name="count">0: <see cref="Start"/> does nothing.</param>
    /// <param name="time">Clock of the pauses.</param>
    /// <param name="logger">Told when connections are warm, and when they cannot be had.</param>
    public WarmConnections(StarlightProxyClient client, IProxyProfiles profiles, int count, TimeProvider time, ILogger<WarmConnections> logger)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MaxCount);
        (_client, _profiles, _count, _time, _logger) = (client, profiles, count, time, logger);
    }

    /// <summary>Returns at once.</summary>
    public void Start()
    {
        if (_count > 0)
        {
            _running = Task.Run(RunAsync);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    private async Task RunAsync()
    {
        TimeSpan pause = FirstPause;
        string? trouble = null;
        while (!_stop.IsCancellationRequested)
        {
            TimeSpan rest = Look;
            if (_profiles.Find(name: null) is { IsSuccess: true, Value: { } proxy })
            {
                try
                {
                    await KeepAsync(proxy, _stop.Token);
                    (pause, trouble) = (FirstPause, null);
                }
                catch (FailureException e)
                {
                    if (e.Error.Code != trouble)
                    {
                        trouble = e.Error.Code;
                        LogNotWarm(_logger, proxy.ToString(), e.Error.Message);
                    }

                    rest = pause;
                    pause = TimeSpan.FromTicks(Math.Min(LongestPause.Ticks, pause.Ticks * 2));
                }
                catch (OperationCanceledException) when (_stop.IsCancellationRequested)
                {
                    return;
                }
            }

            // When a proxy comes back its workers must not all come in one moment.
            await Task.Delay(rest * (1 + Random.Shared.NextDouble()), _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task KeepAsync(ProxyProfile proxy, CancellationToken cancellationToken)
    {
        ProxyLine line = _client.LineTo(proxy);
        int warmed = 0;
        while (line.TakeCold(_count) is { } cold)
        {
            if (!await _client.WarmAsync(proxy, line, cold, cancellationToken))
            {
                break;
            }

            warmed++;
        }

        if (warmed > 0)
        {
            LogWarm(_logger, warmed, proxy.ToString(), line.RoundTrip.TotalMilliseconds);
        }

        line.DropCold(_count);
        while (line.TakeQuiet(Quiet) is { } quiet)
        {
            await _client.PokeAsync(proxy, line, quiet, cancellationToken);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Count} connections to the proxy {Proxy} are warm; round trip {Milliseconds:F1} ms")]
    private static partial void LogWarm(ILogger logger, int count, string proxy, double milliseconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "no connections to the proxy {Proxy} are kept warm for now: {Reason}")]
    private static partial void LogNotWarm(ILogger logger, string proxy, string reason);
}
