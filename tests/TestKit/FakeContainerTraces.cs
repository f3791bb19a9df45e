using System.Collections.Concurrent;
using Starlight.Application.Abstractions.Snapshots;

namespace Starlight.TestKit;

/// <summary>Nothing is traced; whom it was asked about is kept.</summary>
public sealed class FakeContainerTraces : IContainerTraces
{
    public ConcurrentQueue<string> AskedAbout { get; } = new();

    public void Created(string snapshotKey, IReadOnlyDictionary<string, string> labels) => AskedAbout.Enqueue(snapshotKey);
}
