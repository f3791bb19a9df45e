using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Scanning;

public enum ScanState
{
    /// <summary>Waits for its turn, or for its next attempt.</summary>
    Queued,

    /// <summary>A proxy works on it for as long as its lease lasts.</summary>
    Running,

    Done,

    /// <summary>Given up; <see cref="ScanJob.Error"/> says why. A new push of the tag starts over.</summary>
    Failed,

    /// <summary>What was pushed is no container image; <see cref="ScanJob.Error"/> says what.</summary>
    Skipped,
}

public enum ScanStage
{
    /// <summary>The registry is asked what the tag stands for.</summary>
    Resolving,

    /// <summary>Layers are rewritten.</summary>
    Converting,

    /// <summary>Converted layers are sent.</summary>
    Pushing,

    /// <summary>Layers are read.</summary>
    Indexing,

    /// <summary>The catalog is written.</summary>
    Storing,
}

/// <summary>
/// The work that a pushed tag means: one job for each source tag and destination, however often the tag is pushed. A job stands for "what the tag stands for now": a push
/// while it waits changes nothing but the digest announced, a push while it runs makes it run once more. Immutable; <see cref="Version"/> counts the changes, so that a
/// store can tell whether somebody else changed the job meanwhile.
/// </summary>
public sealed record ScanJob
{
    /// <summary>With a tag and no digest.</summary>
    public required ImageReference Source { get; init; }

    /// <summary>Null: index the source.</summary>
    public required ImageReference? Destination { get; init; }

    /// <summary>Of the rule; empty for all.</summary>
    public required IReadOnlyList<Platform> Platforms { get; init; }

    /// <summary>The rule's source pattern, for people.</summary>
    public required string Rule { get; init; }

    /// <summary>What the latest push, or after success the registry, said that the tag stands for.</summary>
    public required Digest Pushed { get; init; }

    /// <summary>Pushed while it was running, so it has to run again.</summary>
    public bool IsPushedAgain { get; init; }

    public ScanState State { get; init; }

    /// <summary>Only while running.</summary>
    public ScanStage? Stage { get; init; }

    /// <summary>Of the stage, 0 to 100.</summary>
    public int Percent { get; init; }

    /// <summary>Times that it was begun since the latest push.</summary>
    public int Attempts { get; init; }

    /// <summary>Queued: not begun before.</summary>
    public DateTimeOffset NotBefore { get; init; }

    /// <summary>Running: which proxy.</summary>
    public string? Owner { get; init; }

    /// <summary>Running: when another proxy may take it, unless it is renewed.</summary>
    public DateTimeOffset? LeaseUntil { get; init; }

    public required DateTimeOffset QueuedAt { get; init; }

    public DateTimeOffset? StartedAt { get; init; }

    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>Of the last attempt; null once it succeeded.</summary>
    public Error? Error { get; init; }

    /// <summary>What was indexed: the destination's manifest or index.</summary>
    public Digest? Result { get; init; }

    public long Version { get; init; }

    public static ScanJob Queue(ImageReference source, ImageReference? destination, ScanRule rule, Digest pushed, DateTimeOffset now) => new()
    {
        Source = source,
        Destination = destination,
        Platforms = rule.Platforms,
        Rule = rule.Source.Text,
        Pushed = pushed,
        QueuedAt = now,
        NotBefore = now,
    };

    /// <summary>The tag was pushed again, or the registry says the same thing twice. Null if there is nothing new about it.</summary>
    public ScanJob? Push(ScanRule rule, Digest pushed, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(rule);
        bool isSame = pushed == Pushed && rule.Platforms.SequenceEqual(Platforms);
        if (isSame && State is not ScanState.Failed)
        {
            return null;
        }

        ScanJob next = Changed() with { Pushed = pushed, Platforms = rule.Platforms, Rule = rule.Source.Text };
        return State == ScanState.Running ? next with { IsPushedAgain = true } : next.Requeued(now);
    }

    public bool IsRunnable(DateTimeOffset now) => State == ScanState.Queued ? NotBefore <= now : State == ScanState.Running && LeaseUntil <= now;

    /// <summary>Begins an attempt; or gives up, if the proxies that tried it ended too often without a word.</summary>
    public ScanJob Claim(string owner, DateTimeOffset now, TimeSpan lease)
    {
        Require(IsRunnable(now));
        return Attempts >= RetryPolicy.MaxAttempts
            ? Finished(ScanState.Failed, ScanErrors.Abandoned(Attempts), now)
            : Changed() with
            {
                State = ScanState.Running,
                Stage = ScanStage.Resolving,
                Percent = 0,
                Attempts = Attempts + 1,
                Owner = owner,
                LeaseUntil = now + lease,
                StartedAt = now,
                FinishedAt = null,
            };
    }

    public ScanJob Renew(ScanStage stage, int percent, DateTimeOffset leaseUntil)
    {
        Require(State == ScanState.Running);
        return Changed() with { Stage = stage, Percent = percent, LeaseUntil = leaseUntil };
    }

    /// <param name="source">What the tag stood for when it was read: the truth, whatever was announced.</param>
    /// <param name="result">What was indexed.</param>
    /// <param name="now">When.</param>
    public ScanJob Succeed(Digest source, Digest result, DateTimeOffset now)
    {
        Require(State == ScanState.Running);
        bool isOutdated = IsPushedAgain && source != Pushed;
        ScanJob done = Finished(ScanState.Done, error: null, now) with { Result = result };
        return isOutdated ? done.Requeued(now) : done with { Pushed = source, IsPushedAgain = false };
    }

    public ScanJob Skip(Error why, DateTimeOffset now)
    {
        Require(State == ScanState.Running);
        ScanJob skipped = Finished(ScanState.Skipped, why, now);
        return IsPushedAgain ? skipped.Requeued(now) : skipped;
    }

    /// <summary>Queues the next attempt, or gives up.</summary>
    public ScanJob Fail(Error why, DateTimeOffset now)
    {
        Require(State == ScanState.Running);
        if (IsPushedAgain)
        {
            return Changed().Requeued(now) with { Error = why };
        }

        return RetryPolicy.PauseAfter(why, Attempts) is { } pause
            ? Finished(ScanState.Queued, why, now) with { FinishedAt = null, NotBefore = now + pause }
            : Finished(ScanState.Failed, why, now);
    }

    /// <summary>The proxy stops: somebody else, or itself later, goes on at once. Counts as no attempt.</summary>
    public ScanJob Release(DateTimeOffset now)
    {
        Require(State == ScanState.Running);
        return Finished(ScanState.Queued, Error, now) with { FinishedAt = null, NotBefore = now, Attempts = Math.Max(0, Attempts - 1), IsPushedAgain = false };
    }

    private static void Require(bool allowed)
    {
        if (!allowed)
        {
            throw new InvalidOperationException("the job is not in a state for this");
        }
    }

    private ScanJob Changed() => this with { Version = Version + 1 };

    private ScanJob Requeued(DateTimeOffset now) => this with
    {
        State = ScanState.Queued,
        Stage = null,
        Percent = 0,
        Attempts = 0,
        NotBefore = now,
        QueuedAt = now,
        StartedAt = null,
        FinishedAt = null,
        Owner = null,
        LeaseUntil = null,
        IsPushedAgain = false,
        Error = null,
    };

    private ScanJob Finished(ScanState state, Error? error, DateTimeOffset now) => Changed() with
    {
        State = state,
        Stage = null,
        Percent = state == ScanState.Done ? 100 : 0,
        Owner = null,
        LeaseUntil = null,
        FinishedAt = now,
        Error = error,
    };
}
