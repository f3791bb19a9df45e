using Starlight.Domain.Content;

namespace Starlight.Domain.Ordering;

/// <summary>A content that traced containers opened.</summary>
/// <param name="Rank">Average position among the opens of a trace, from 0; see <see cref="TraceMerge"/>.</param>
/// <param name="At">Average time since the container's start, less what it waited for contents until then.</param>
/// <param name="Traces">How many traces opened it.</param>
/// <param name="IsRare">Only one voter of three or more opened it: it comes after all that others have seen too.</param>
public readonly record struct LearnedContent(Digest Content, double Rank, TimeSpan At, int Traces, bool IsRare);

/// <summary>What an image's traces teach: its hot set in the order of opening.</summary>
/// <param name="Contents">Each content once, the first to be sent first.</param>
/// <param name="Traces">How many traces it comes from; 0 if there are none.</param>
/// <param name="Groups">For each group that the image was traced in, how long after the group's first container it started, on average.</param>
public sealed record LearnedOrder(IReadOnlyList<LearnedContent> Contents, int Traces, IReadOnlyDictionary<string, TimeSpan> Groups)
{
    public static LearnedOrder None { get; } = new([], 0, new Dictionary<string, TimeSpan>());
}

/// <summary>A trace and who sent it.</summary>
/// <param name="Account">The account that was logged in; empty where there are none.</param>
/// <param name="Worker">What the worker calls itself.</param>
/// <param name="Trace">What it saw.</param>
public sealed record ReportedTrace(string Account, string Worker, Trace Trace);
