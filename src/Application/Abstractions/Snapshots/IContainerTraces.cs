namespace Starlight.Application.Abstractions.Snapshots;

/// <summary>Decides which containers are traced. Safe for concurrent use.</summary>
public interface IContainerTraces
{
    /// <summary>
    /// A writable snapshot on a provided image was created (containers have no others: views are for diffs and for looking at an image) and is about to be attached for the first time. Whether what it opens is recorded is decided now, by its labels and by the optimizer's
    /// switch; recording begins when it is attached and ends at the latest when it is detached.
    /// </summary>
    void Created(string snapshotKey, IReadOnlyDictionary<string, string> labels);
}
