using System.Text;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Snapshots;

/// <summary>The rules of snapshot labels (containerd labels/validate.go, snapshots/snapshotter.go, metadata/boltutil).</summary>
public static class SnapshotLabels
{
    /// <summary>
    /// Names the chain ID that a layer's snapshot will have. On Prepare it is the remote-snapshotter protocol's question "can you provide this layer?".
    /// </summary>
    public const string Reference = "containerd.io/snapshot.ref";

    /// <summary>Labels with this prefix travel from containerd's own metadata to the snapshotter.</summary>
    public const string InheritedPrefix = "containerd.io/snapshot/";

    /// <summary>On a container's snapshot, <c>on</c>: what it opens during its start-up is recorded and reported.</summary>
    public const string Trace = "containerd.io/snapshot/starlight.trace";

    /// <summary>With <see cref="Trace"/>: containers that are deployed together have one group.</summary>
    public const string TraceGroup = "containerd.io/snapshot/starlight.group";

    /// <summary>
    /// Ask the snapshotter to shift owners into a user namespace (snapshots/snapshotter.go). containerd's client sets them on the container's snapshot whether or not the
    /// snapshotter can, but has changed the owners in a layer of its own before if the plugin does not declare <c>remap-ids</c> (snapshotter_opts_unix.go).
    /// </summary>
    private const string UidMapping = "containerd.io/snapshot/uidmapping";
    private const string GidMapping = "containerd.io/snapshot/gidmapping";

    /// <summary>Most bytes of one label's key and value together (containerd labels/validate.go).</summary>
    public const int MaxPairSize = 4096;

    private const int ShownKeyLength = 10;

    public static IReadOnlyDictionary<string, string> None { get; } = new Dictionary<string, string>();

    public static bool AskForMappedIds(IReadOnlyDictionary<string, string> labels) => labels.ContainsKey(UidMapping) || labels.ContainsKey(GidMapping);

    /// <summary>
    /// The labels as they are stored: a label with an empty value is no label (boltutil.WriteLabels deletes it). Fails with InvalidInput when a pair is too large.
    /// </summary>
    public static Result<IReadOnlyDictionary<string, string>> Normalize(IReadOnlyDictionary<string, string> labels)
    {
        var kept = new Dictionary<string, string>(labels.Count);
        foreach ((string key, string value) in labels)
        {
            if (Encoding.UTF8.GetByteCount(key) + Encoding.UTF8.GetByteCount(value) > MaxPairSize)
            {
                return SnapshotErrors.LabelTooLarge(key.Length > ShownKeyLength ? key[..ShownKeyLength] : key);
            }

            if (value.Length > 0)
            {
                kept.Add(key, value);
            }
        }

        return kept;
    }

    /// <summary>The labels containerd passes down to a snapshotter; all others stay in its own metadata (snapshots.FilterInheritedLabels).</summary>
    public static IReadOnlyDictionary<string, string> Inherited(IReadOnlyDictionary<string, string> labels) =>
        labels.Where(label => label.Key == Reference || label.Key.StartsWith(InheritedPrefix, StringComparison.Ordinal))
            .ToDictionary(label => label.Key, label => label.Value);
}
