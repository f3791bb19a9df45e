using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Domain.Scanning;

public enum ScanAction
{
    /// <summary>Convert to the rule's destination and index the result.</summary>
    Convert,

    /// <summary>Index what was pushed.</summary>
    Index,

    /// <summary>Leave it alone, also if a later rule would not.</summary>
    Ignore,
}

/// <param name="Source">Which pushed tags.</param>
/// <param name="Action">What is done with them.</param>
/// <param name="Destination">Set exactly if the action is <see cref="ScanAction.Convert"/>.</param>
/// <param name="Platforms">Which images of an index; empty for all.</param>
public sealed record ScanRule(SourcePattern Source, ScanAction Action, DestinationTemplate? Destination, IReadOnlyList<Platform> Platforms)
{
    public override string ToString() => Action == ScanAction.Convert ? $"{Source} → {Destination}" : $"{Source} ({Action.ToString().ToLowerInvariant()})";
}

/// <summary>
/// Rules in order; the first that matches decides. What looks like the destination of any of them is never converted, so that the proxy does not answer its own pushes,
/// whatever the rules are; it may still be indexed.
/// </summary>
public sealed class ScanRules(IReadOnlyList<ScanRule> rules)
{
    public IReadOnlyList<ScanRule> All { get; } = rules;

    /// <summary>Null if no rule is for it.</summary>
    public ScanRule? Find(ImageReference pushed)
    {
        bool isOwn = IsDestination(pushed);
        return All.FirstOrDefault(r => r.Source.Matches(pushed) && !(isOwn && r.Action == ScanAction.Convert));
    }

    public bool IsDestination(ImageReference pushed) => All.Any(r => r.Destination?.CouldProduce(pushed) == true);
}
