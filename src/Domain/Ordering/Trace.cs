using System.Text.RegularExpressions;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Ordering;

/// <summary>The first time that one container opened a content.</summary>
/// <param name="Content">What was opened, under whatever name.</param>
/// <param name="At">Since the container's root file system was mounted; monotonic.</param>
/// <param name="Waited">How long the open waited for the content to arrive; zero if it was there.</param>
public readonly record struct FirstOpen(Digest Content, TimeSpan At, TimeSpan Waited);

/// <summary>Containers that are traced together, and when this one of them started.</summary>
/// <param name="Name">What the user calls the group.</param>
/// <param name="Run">One time that tracing was on: containers of different runs did not start together, whatever the clock says.</param>
/// <param name="Offset">From the start of the run's first container to that of this one; monotonic.</param>
public sealed partial record TraceGroup(string Name, Guid Run, TimeSpan Offset)
{
    /// <summary>Fails with InvalidInput.</summary>
    public static Result CheckName(string name) => Form().IsMatch(name)
        ? Result.Success
        : new Error("Trace.GroupMalformed", $"'{name}' cannot name a group: use up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit", ErrorKind.InvalidInput);

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Form();
}

/// <summary>Who wanted a trace.</summary>
public enum TraceSource
{
    /// <summary><c>ctr-starlight optimizer on</c>.</summary>
    Optimizer,

    /// <summary>A label on the container's snapshot.</summary>
    Label,

    /// <summary>Nobody: a container started while its image was arriving, and waited.</summary>
    Online,
}

/// <summary>What one container opened, in the order of the first opens. Immutable, and possible: made by <see cref="Create"/>, which refuses what no worker can have seen.</summary>
public sealed class Trace
{
    /// <summary>Above what any start-up opens (a Node.js application: 2,326 files). Bounds memory, time and disk on both sides. Arbitrary.</summary>
    public const int MaxOpens = 65_536;

    /// <summary>A start-up is over long before. Arbitrary.</summary>
    public static readonly TimeSpan MaxOffset = TimeSpan.FromDays(30);

    private Trace(Guid id, Digest image, TraceSource source, TraceGroup? group, DateTimeOffset startedAt, IReadOnlyList<FirstOpen> opens) =>
        (Id, Image, Source, Group, StartedAt, Opens) = (id, image, source, group, startedAt, opens);

    /// <summary>Made by the worker: the same trace reported twice counts once.</summary>
    public Guid Id { get; }

    /// <summary>Manifest of the image that the container was made of.</summary>
    public Digest Image { get; }

    public TraceSource Source { get; }

    public TraceGroup? Group { get; }

    /// <summary>By the worker's clock, but never later than it was received. Says which traces are new, nothing else.</summary>
    public DateTimeOffset StartedAt { get; }

    /// <summary>At least one; each content once; in the order of time.</summary>
    public IReadOnlyList<FirstOpen> Opens { get; }

    /// <summary>
    /// Puts the opens in order and refuses what cannot be: no opens or too many, one content twice, times that are negative or absurd, a group without a proper name. A start in the
    /// future is moved to <paramref name="now"/>: clocks jump, and nothing but the age of a trace depends on it.
    /// </summary>
    public static Result<Trace> Create(Guid id, Digest image, TraceSource source, TraceGroup? group, DateTimeOffset startedAt, IReadOnlyList<FirstOpen> opens, DateTimeOffset now)
    {
        if (group is not null && TraceGroup.CheckName(group.Name) is { IsSuccess: false } name)
        {
            return name.Error;
        }

        if (group is not null && !IsPossible(group.Offset))
        {
            return Impossible($"a container of the group started {group.Offset} after the first");
        }

        if (id == Guid.Empty || group?.Run == Guid.Empty)
        {
            return Impossible("it has no identity");
        }

        if (opens.Count == 0)
        {
            return new Error("Trace.Empty", "the container opened nothing", ErrorKind.InvalidInput);
        }

        if (opens.Count > MaxOpens)
        {
            return new Error("Trace.TooLong", $"it has {opens.Count} entries, and {MaxOpens} are the most", ErrorKind.InvalidInput);
        }

        HashSet<Digest> seen = new(opens.Count);
        foreach (FirstOpen open in opens)
        {
            if (!IsPossible(open.At) || !IsPossible(open.Waited))
            {
                return Impossible($"{open.Content} was opened after {open.At} and waited {open.Waited}");
            }

            if (!seen.Add(open.Content))
            {
                return Impossible($"{open.Content} is opened for the first time twice");
            }
        }

        // stable: entries of one moment stay as they were recorded
        return new Trace(id, image, source, group, startedAt < now ? startedAt : now, [.. opens.OrderBy(o => o.At)]);
    }

    private static bool IsPossible(TimeSpan span) => span >= TimeSpan.Zero && span <= MaxOffset;

    private static Error Impossible(string why) => new("Trace.Impossible", $"no container can have done that: {why}", ErrorKind.InvalidInput);
}
