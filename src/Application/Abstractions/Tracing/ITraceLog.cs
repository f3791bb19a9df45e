using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Abstractions.Tracing;

/// <summary>Which container a trace is of.</summary>
/// <param name="Reference">The image's name on this worker.</param>
/// <param name="Image">Its manifest.</param>
/// <param name="ProxyProfile">Through which it was pulled.</param>
/// <param name="Group">Null if it was traced alone.</param>
/// <param name="StartedAt">When its root file system was first mounted.</param>
public sealed record TraceHeader(Guid Id, string Reference, Digest Image, string ProxyProfile, TraceSource Source, TraceGroup? Group, DateTimeOffset StartedAt)
{
    /// <summary>Whether the daemon reports it by itself. What a person has switched on waits until a person reports it.</summary>
    public bool IsReportedByItself => Source != TraceSource.Optimizer;
}

/// <summary>A trace and how much it holds.</summary>
/// <param name="Opens">Contents opened so far.</param>
/// <param name="Waited">All that its opens have waited.</param>
public sealed record TraceSummary(TraceHeader Header, int Opens, TimeSpan Waited);

/// <summary>What is being traced, and what waits to be reported.</summary>
/// <param name="On">New containers are traced.</param>
/// <param name="Group">As a group of this name.</param>
public sealed record OptimizerState(bool On, string? Group, IReadOnlyList<TraceSummary> Running, IReadOnlyList<TraceSummary> Finished);

/// <summary>
/// The switch and the traces of this worker. Both outlive the daemon. Safe for concurrent use. Fails with ResourceExhausted or Unavailable <c>Trace.NotStored</c> when the disk does not take them.
/// </summary>
public interface ITraceLog
{
    /// <summary>Why nothing can be traced on this worker; null if it can.</summary>
    Error? Obstacle { get; }

    OptimizerState State { get; }

    /// <summary>Containers created from now on are traced. Every call begins a new run of the group.</summary>
    void SwitchOn(string? group);

    /// <summary>Ends the traces that the switch began; when this returns they are on disk.</summary>
    /// <returns>Those that it ended.</returns>
    IReadOnlyList<TraceSummary> SwitchOff();

    /// <summary>A finished trace, or null if it is gone or holds nothing that can be used.</summary>
    /// <exception cref="FailureException">It cannot be read now.</exception>
    Trace? Read(Guid id);

    /// <summary>Forgets a finished trace. One that is gone already is fine.</summary>
    void Delete(Guid id);

    /// <summary>Ends when a trace that the daemon is to report by itself has been finished since this was last called.</summary>
    Task WaitForReportableAsync(CancellationToken cancellationToken);
}
