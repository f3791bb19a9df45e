using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Objects;

/// <summary>Where a content stands, as <see cref="ArrivalBoard"/> knows it.</summary>
public enum ArrivalState
{
    /// <summary>In the store, complete.</summary>
    Present,

    /// <summary>Promised by a pull; openers wait for it.</summary>
    Expected,

    /// <summary>Not in the store and not on its way; openers fail at once.</summary>
    Unavailable,
}

/// <summary>
/// Knows which contents are on their way and who waits for them. Pulls call <see cref="Expect"/>, then <see cref="Arrived"/> or <see cref="Fail"/>
/// for each; the gate parks its lookups here. The store is the truth about what is there: it is asked before and again after parking, so an
/// arrival can never be missed. Thread-safe.
/// </summary>
/// <remarks>
/// Several pulls may expect one content: it fails only when the last of them gives up, and arrives when the first delivers. One lock guards
/// everything; it is never held during a callback or a system call.
/// </remarks>
public sealed class ArrivalBoard(ObjectStore store, TimeProvider? time = null)
{
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Lock _lock = new();
    private readonly Dictionary<Digest, int> _expected = []; // content → how many pulls promised it; under _lock
    private readonly Dictionary<Digest, Error> _failed = []; // until expected again or arrived; under _lock
    private readonly Dictionary<Digest, ArrivalWaiter> _waiting = []; // content → newest of its linked waiters; under _lock

    /// <summary>
    /// Somebody begins to wait for a content that nobody waited for before. Raised on the waiter's thread, outside the lock; must be quick and not
    /// throw. Used to jump the queue. Set it (or add to it) before waiters come.
    /// </summary>
    public Action<Digest>? Wanted { get; set; }

    /// <summary>How many lookups wait now.</summary>
    public int WaiterCount
    {
        get
        {
            lock (_lock)
            {
                int count = 0;
                foreach (ArrivalWaiter head in _waiting.Values)
                {
                    for (ArrivalWaiter? waiter = head; waiter is not null; waiter = waiter.Next)
                    {
                        count++;
                    }
                }

                return count;
            }
        }
    }

    /// <summary>
    /// Promises that each of the contents will be reported by <see cref="Arrived"/> or <see cref="Fail"/>, once per call naming it. Contents that are
    /// in the store already may be named: their openers do not wait. Forgets earlier failures.
    /// </summary>
    public void Expect(IEnumerable<Digest> contents)
    {
        ArgumentNullException.ThrowIfNull(contents);
        lock (_lock)
        {
            foreach (Digest content in contents)
            {
                _expected[content] = _expected.GetValueOrDefault(content) + 1;
                _failed.Remove(content);
            }
        }
    }

    /// <summary>The content is in the store, whoever put it there: releases all who wait for it. Does no harm if nobody expected it.</summary>
    public void Arrived(Digest content)
    {
        ArrivalWaiter? waiters;
        lock (_lock)
        {
            _expected.Remove(content);
            _failed.Remove(content);
            waiters = TakeWaiters(content);
        }

        Release(waiters, failure: null);
    }

    /// <summary>
    /// One pull gives up on the content for good. Its waiters fail once no other pull expects it. Ignored if nobody expects it (it arrived some
    /// other way, or was failed already).
    /// </summary>
    public void Fail(Digest content, Error error)
    {
        ArgumentNullException.ThrowIfNull(error);
        ArrivalWaiter? waiters;
        lock (_lock)
        {
            if (!_expected.TryGetValue(content, out int promises))
            {
                return;
            }

            if (promises > 1)
            {
                _expected[content] = promises - 1;
                return;
            }

            _expected.Remove(content);
            _failed[content] = error;
            waiters = TakeWaiters(content);
        }

        Release(waiters, error);
    }

    /// <summary>Where the content stands now.</summary>
    public ArrivalState StateOf(Digest content)
    {
        if (store.Contains(content))
        {
            return ArrivalState.Present;
        }

        lock (_lock)
        {
            return _expected.ContainsKey(content) ? ArrivalState.Expected : ArrivalState.Unavailable;
        }
    }

    /// <summary>Why the content is unavailable, if a pull reported it.</summary>
    public Error? FailureOf(Digest content)
    {
        lock (_lock)
        {
            return _failed.GetValueOrDefault(content);
        }
    }

    /// <summary>
    /// Answers at once if the content is present or unavailable; otherwise (Expected) <paramref name="waiter"/> is kept and will be
    /// released, possibly before this returns.
    /// </summary>
    public ArrivalState Wait(Digest content, ArrivalWaiter waiter)
    {
        ArgumentNullException.ThrowIfNull(waiter);

        // 1. The usual case, without the lock.
        if (store.Contains(content))
        {
            return ArrivalState.Present;
        }

        // 2. Park.
        bool first = false;
        bool parked = false;
        lock (_lock)
        {
            if (_expected.ContainsKey(content))
            {
                parked = true;
                first = Link(content, waiter);
            }
        }

        // 3. It may have arrived between 1 and 2.
        if (store.Contains(content))
        {
            return !parked || Cancel(waiter) ? ArrivalState.Present : ArrivalState.Expected;
        }

        if (!parked)
        {
            return ArrivalState.Unavailable;
        }

        if (first)
        {
            Wanted?.Invoke(content);
        }

        return ArrivalState.Expected;
    }

    /// <summary>Ends a wait. True: the waiter will not be released any more and the caller owns its answer. False: it was released, or never waited.</summary>
    public bool Cancel(ArrivalWaiter waiter)
    {
        ArgumentNullException.ThrowIfNull(waiter);
        lock (_lock)
        {
            if (!waiter.IsWaiting)
            {
                return false;
            }

            Unlink(waiter);
            return true;
        }
    }

    // Must be called with the lock. True if this is the content's first waiter.
    private bool Link(Digest content, ArrivalWaiter waiter)
    {
        ArrivalWaiter? head = _waiting.GetValueOrDefault(content);
        waiter.Content = content;
        waiter.StartedAt = _time.GetTimestamp();
        waiter.IsWaiting = true;
        waiter.Next = head;
        head?.Previous = waiter;
        _waiting[content] = waiter;
        return head is null;
    }

    // Must be called with the lock.
    private void Unlink(ArrivalWaiter waiter)
    {
        waiter.Next?.Previous = waiter.Previous;
        if (waiter.Previous is not null)
        {
            waiter.Previous.Next = waiter.Next;
        }
        else if (waiter.Next is not null)
        {
            _waiting[waiter.Content] = waiter.Next;
        }
        else
        {
            _waiting.Remove(waiter.Content);
        }

        waiter.Previous = waiter.Next = null;
        waiter.IsWaiting = false;
    }

    // Must be called with the lock. From here on Cancel answers false for the whole list, so that nobody else touches its links.
    private ArrivalWaiter? TakeWaiters(Digest content)
    {
        _waiting.Remove(content, out ArrivalWaiter? head);
        for (ArrivalWaiter? each = head; each is not null; each = each.Next)
        {
            each.IsWaiting = false;
        }

        return head;
    }

    // Must be called without the lock.
    private void Release(ArrivalWaiter? waiter, Error? failure)
    {
        while (waiter is not null)
        {
            ArrivalWaiter? next = waiter.Next;
            waiter.Next = waiter.Previous = null;
            waiter.OnReleased(failure, _time.GetElapsedTime(waiter.StartedAt));
            waiter = next;
        }
    }
}
