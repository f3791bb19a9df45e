using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Objects;

/// <summary>
/// Somebody who waits for one content. A class to derive from rather than a delegate: thousands wait at once, and this way each costs one
/// allocation, links included. Used once.
/// </summary>
public abstract class ArrivalWaiter
{
    /// <summary>Neighbours in the board's list of waiters for the same content; owned by the board, under its lock.</summary>
    internal ArrivalWaiter? Previous, Next;

    /// <summary>True while the board holds this waiter; under its lock.</summary>
    internal bool IsWaiting;

    internal long StartedAt; // TimeProvider timestamp, set when the wait begins

    /// <summary>What is waited for. Set when the wait begins.</summary>
    public Digest Content { get; internal set; }

    /// <summary>
    /// Called exactly once unless the wait was cancelled, on the thread that reported the arrival or failure, outside the board's lock. Must be
    /// quick and must not throw.
    /// </summary>
    /// <param name="failure">Null: the content is in the store. Otherwise why it never will be.</param>
    /// <param name="waited">Time since the wait began.</param>
    protected internal abstract void OnReleased(Error? failure, TimeSpan waited);
}
