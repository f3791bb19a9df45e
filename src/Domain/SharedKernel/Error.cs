namespace Starlight.Domain.SharedKernel;

/// <summary>
/// What class of outcome an <see cref="Error"/> is. Presentation maps each kind to an HTTP status, a gRPC status,
/// an errno and a CLI exit code in one table (docs/architecture.md, "Errors").
/// </summary>
public enum ErrorKind
{
    /// <summary>The caller sent something malformed; repeating it unchanged cannot help.</summary>
    InvalidInput,

    /// <summary>The thing named does not exist.</summary>
    NotFound,

    /// <summary>The thing named exists already. Load-bearing for snapshots: containerd skips the layer.</summary>
    AlreadyExists,

    /// <summary>The request is well formed but not in the present state (parent not committed, still in use, …).</summary>
    FailedPrecondition,

    /// <summary>Who asks is unknown: no, wrong or expired credentials.</summary>
    Unauthenticated,

    /// <summary>Who asks is known and may not.</summary>
    PermissionDenied,

    /// <summary>A peer (registry, proxy, containerd, database) cannot be reached or answers with a passing fault; a later try may do.</summary>
    Unavailable,

    /// <summary>Bytes do not match their digest, size or format: damaged or forged.</summary>
    DataCorrupt,

    /// <summary>A limit (size, count, disk) is exceeded.</summary>
    ResourceExhausted,

    /// <summary>This machine or build cannot do it (kernel, architecture, format version).</summary>
    Unsupported,

    /// <summary>The caller went away or a deadline passed.</summary>
    Cancelled,

    /// <summary>A bug or an unforeseen fault of our own.</summary>
    Internal,
}

/// <summary>An expected failure: a stable dotted code (<c>Concept.Problem</c>), one clear sentence that says what failed and what to do, and its kind.</summary>
/// <param name="Code">Machine-readable and stable, e.g. <c>Bundle.BaseUnknown</c>.</param>
/// <param name="Message">One line for a person, without a trailing newline.</param>
/// <param name="Kind">How Presentation reports it.</param>
public sealed record Error(string Code, string Message, ErrorKind Kind)
{
    /// <summary>What it is about, for a program that can go on without: the references of bases that a proxy does not know. Mostly empty.</summary>
    public IReadOnlyList<string> Subjects { get; init; } = [];

    public override string ToString() => $"{Message} [{Code}]";
}
