using System.Text;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Snapshots;

/// <summary>
/// What a snapshot is addressed by: the key of an active or view, the name of a committed one. All share one key space. Opaque: containerd's own look like
/// <c>default/12/extract-123-abc sha256:…</c>, other callers use whatever they like.
/// </summary>
public readonly record struct SnapshotKey
{
    /// <summary>Most bytes of a key in UTF-8: what containerd's own store takes (bbolt MaxKeySize).</summary>
    public const int MaxLength = 32768;

    private readonly string? _value;

    private SnapshotKey(string value) => _value = value;

    public string Value => _value ?? throw new InvalidOperationException("a default SnapshotKey names nothing");

    /// <param name="text">As it came over the wire.</param>
    /// <param name="what">How a message names it: key, name or parent.</param>
    public static Result<SnapshotKey> Parse(string? text, string what = "key") =>
        string.IsNullOrEmpty(text) ? SnapshotErrors.KeyEmpty(what)
        : Encoding.UTF8.GetByteCount(text) > MaxLength ? SnapshotErrors.KeyTooLong(what)
        : new SnapshotKey(text);

    /// <summary>As <see cref="Parse"/>, but the empty string means "none" (containerd's empty parent).</summary>
    public static Result<SnapshotKey?> ParseOptional(string? text, string what) =>
        string.IsNullOrEmpty(text) ? (Result<SnapshotKey?>)(SnapshotKey?)null : Parse(text, what).Map(key => (SnapshotKey?)key);

    public override string ToString() => _value ?? "";
}
