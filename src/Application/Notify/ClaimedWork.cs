using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Notify;

/// <summary>
/// Work that gives the same on every proxy and ends in the database: done by one of them, while the others wait for the result to appear. A proxy that dies on it is
/// replaced after <see cref="ValidFor"/>; one that is cut off from the database for longer may do what another does, too, which costs time and nothing else.
/// </summary>
internal sealed class ClaimedWork(IClaims claims, TimeProvider time)
{
    /// <summary>How long the others wait for one that has died. Arbitrary: far above a garbage collection, far below a layer.</summary>
    public static readonly TimeSpan ValidFor = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan Extend = ValidFor / 4;

    /// <summary>Looking costs one lookup by key.</summary>
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);

    /// <param name="name">What the work is called in the database.</param>
    /// <param name="look">Whether it has been done: its result, or null.</param>
    /// <param name="work">Does it; its result must then be found by <paramref name="look"/> on every proxy, or the others do it again.</param>
    /// <param name="cancellationToken">Gives the claim up.</param>
    public async Task<T> RunAsync<T>(string name, Func<Task<T?>> look, Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
        where T : class
    {
        while (true)
        {
            if (await look() is { } done)
            {
                return done;
            }

            if (await claims.TryTakeAsync(name, ValidFor, cancellationToken))
            {
                return await RunClaimedAsync(name, look, work, cancellationToken);
            }

            await Task.Delay(Poll, time, cancellationToken);
        }
    }

    /// <summary>Runs work that notices itself if another proxy has done it: one proxy after the other.</summary>
    public Task<T> RunAloneAsync<T>(string name, Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
        where T : class => RunAsync(name, static () => Task.FromResult<T?>(null), work, cancellationToken);

    private async Task<T> RunClaimedAsync<T>(string name, Func<Task<T?>> look, Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
        where T : class
    {
        using CancellationTokenSource ended = new();
        Task extending = ExtendAsync(name, ended.Token);
        try
        {
            // Somebody may have finished between our look and our claim.
            return await look() ?? await work(cancellationToken);
        }
        finally
        {
            await ended.CancelAsync();
            await extending;
            await IgnoreFaultsAsync(() => claims.ReleaseAsync(name, CancellationToken.None));
        }
    }

    private async Task ExtendAsync(string name, CancellationToken cancellationToken)
    {
        using PeriodicTimer timer = new(Extend, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                await IgnoreFaultsAsync(() => claims.TryTakeAsync(name, ValidFor, cancellationToken));
            }
        }
        catch (OperationCanceledException)
        {
            // The work is done.
        }
    }

    /// <summary>A claim is a courtesy to the others: work that is under way does not fail for it, and a database that is down fails it soon enough.</summary>
    private static async Task IgnoreFaultsAsync(Func<Task> call)
    {
        try
        {
            await call();
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.Unavailable)
        {
        }
    }
}
