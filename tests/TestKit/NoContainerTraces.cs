using Starlight.Application.Abstractions.Snapshots;

namespace Starlight.TestKit;

/// <summary>Nothing is traced.</summary>
public sealed class NoContainerTraces : IContainerTraces
{
    public void Created(string snapshotKey, IReadOnlyDictionary<string, string> labels)
    {
    }
}
