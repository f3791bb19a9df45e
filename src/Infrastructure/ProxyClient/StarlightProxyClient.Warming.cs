using System.Diagnostics;
using System.Globalization;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.ProxyClient;

/// <content>Making connections know the line before there is anything to ask for.</content>
public sealed partial class StarlightProxyClient
{
    /// <summary>
    /// What is asked for until the speed does not grow any more. The sender doubles what it has in flight each round trip, so each step takes a few of them, and whoever needs the line waits for one step
    /// at most. The last one, which fills 100 Mbit/s over 170 ms, is not asked for on narrow lines.
    /// </summary>
    private static readonly int[] WarmingSteps = [64 << 10, 256 << 10, 1 << 20, 2 << 20];

    /// <summary>What comes with the first answer on a new connection without another round trip: ten packets (RFC 6928). The next answer then begins with twice as many.</summary>
    private const int OpeningBytes = 14_000;

    /// <summary>As fast as the line gets: noise aside, the next step would not be faster.</summary>
    private const double GrowthWorthwhile = 1.25;

    /// <summary>Below it a connection gets up to speed faster than anybody would notice.</summary>
    private static readonly TimeSpan ShortLine = TimeSpan.FromMilliseconds(5);

    internal ProxyLine LineTo(ProxyProfile proxy) => _connections.For(proxy).LineTo(proxy.Endpoint);

    /// <summary>Opens the connection if it is not, and has it carry data until it knows the line. Brings it back.</summary>
    /// <returns>False if it was interrupted by somebody who needs the line.</returns>
    internal async Task<bool> WarmAsync(ProxyProfile proxy, ProxyLine line, ProxyLane lane, CancellationToken cancellationToken)
    {
        Task<bool> first = PrimeAsync(proxy, lane, bytes: 0, cancellationToken);

        // Passwords are tried on one connection first: each refusal counts, and each that is not known to be right costs the proxy a slow hash.
        Task others = line.Opening = OpenAsync(proxy, line, proxy.User is null && proxy.Token is null ? Task.CompletedTask : first, cancellationToken);
        try
        {
            bool helps = await first;
            double before = 0;
            foreach (int bytes in helps && lane.RoundTrip >= ShortLine ? WarmingSteps : [])
            {
                long started = Stopwatch.GetTimestamp();
                await PrimeAsync(proxy, lane, bytes, cancellationToken);
                double speed = bytes / Stopwatch.GetElapsedTime(started).TotalSeconds;
                if (line.IsContended)
                {
                    return false;
                }

                if (speed < before * GrowthWorthwhile)
                {
                    break;
                }

                before = speed;
            }

            lane.SetWarm();
            return true;
        }
        catch (FailureException e) when (e.Error.Kind is ErrorKind.PermissionDenied or ErrorKind.Unauthenticated)
        {
            line.IsRefused = true;
            throw;
        }
        finally
        {
            line.Return(lane);
            await others;
        }
    }

    /// <summary>Opens what a pull would want to have for its parts if it came while this first connection is being warmed.</summary>
    private async Task OpenAsync(ProxyProfile proxy, ProxyLine line, Task after, CancellationToken cancellationToken)
    {
        try
        {
            await after;
        }
        catch (Exception e) when (e is FailureException or OperationCanceledException)
        {
            // Whoever waits for it tells.
            return;
        }

        await Task.WhenAll(line.TakeMissing(Stripes < 2 ? 0 : Stripes + 1, ShortestStriped).Select(async lane =>
        {
            try
            {
                await PokeAsync(proxy, line, lane, OpeningBytes, cancellationToken);
            }
            catch (FailureException)
            {
                // A short line, or the connection that is being warmed meets with the same, and tells.
            }
        }));
    }

    /// <summary>Has the connection say something, so that nobody takes it for forgotten. Brings it back.</summary>
    internal Task PokeAsync(ProxyProfile proxy, ProxyLine line, ProxyLane lane, CancellationToken cancellationToken) => PokeAsync(proxy, line, lane, bytes: 0, cancellationToken);

    private async Task PokeAsync(ProxyProfile proxy, ProxyLine line, ProxyLane lane, int bytes, CancellationToken cancellationToken)
    {
        try
        {
            await PrimeAsync(proxy, lane, bytes, cancellationToken);
        }
        finally
        {
            line.Return(lane);
        }
    }

    /// <summary>False if the proxy is too old to know the request; the connection is open all the same.</summary>
    private async Task<bool> PrimeAsync(ProxyProfile proxy, ProxyLane lane, int bytes, CancellationToken cancellationToken)
    {
        try
        {
            using HttpResponseMessage response = await SendAsync(
                proxy, () => Request(proxy, HttpMethod.Get, string.Create(CultureInfo.InvariantCulture, $"starlight/prime?bytes={bytes}")), AnswerTimeout, cancellationToken, lane);
            using ReceivedStream body = new(await response.Content.ReadAsStreamAsync(cancellationToken), proxy, static _ => { });
            await body.CopyToAsync(Stream.Null, cancellationToken);
            return true;
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.NotFound)
        {
            return false;
        }
        catch (IOException e)
        {
            throw ProxyErrors.Unreachable(proxy, e);
        }
    }
}
