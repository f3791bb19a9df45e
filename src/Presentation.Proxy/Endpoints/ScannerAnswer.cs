using Starlight.Application.Scanner;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <param name="Queued">Jobs that will run because of this notification.</param>
/// <param name="Known">Pushes that were announced before.</param>
/// <param name="Ignored">What means nothing to this proxy.</param>
internal sealed record ScannerAnswer(int Queued, int Known, IReadOnlyList<IgnoredPush> Ignored);

internal sealed record ScanJobList(IReadOnlyList<ScanJobAnswer> Jobs);

internal sealed record ScanJobError(string Code, string Message);

/// <summary>The JSON form of a job. Times are UTC; what does not apply to the state is left out.</summary>
internal sealed record ScanJobAnswer(string Source, string? Destination, string Rule, string Digest, string State)
{
    public string? Stage { get; init; }

    /// <summary>Of the stage.</summary>
    public int? Percent { get; init; }

    public int Attempts { get; init; }

    public DateTimeOffset QueuedAt { get; init; }

    public DateTimeOffset? StartedAt { get; init; }

    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>Queued after a failure: when it is tried again.</summary>
    public DateTimeOffset? NextAttemptAt { get; init; }

    /// <summary>Digest of what was indexed.</summary>
    public string? Result { get; init; }

    public ScanJobError? Error { get; init; }

    public static ScanJobAnswer Of(ScanJob job) => new(job.Source.ToString(), job.Destination?.ToString(), job.Rule, job.Pushed.ToString(), job.State.ToString().ToLowerInvariant())
    {
        Stage = job.Stage?.ToString().ToLowerInvariant(),
        Percent = job.State == ScanState.Running ? job.Percent : null,
        Attempts = job.Attempts,
        QueuedAt = job.QueuedAt,
        StartedAt = job.StartedAt,
        FinishedAt = job.FinishedAt,
        NextAttemptAt = job is { State: ScanState.Queued, Error: not null } ? job.NotBefore : null,
        Result = job.Result?.ToString(),
        Error = job.Error is { } error ? new ScanJobError(error.Code, error.Message.ReplaceLineEndings(" ")) : null,
    };
}
