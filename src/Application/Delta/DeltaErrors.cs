using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Delta;

internal static class DeltaErrors
{
    public const string NotIndexedCode = "Image.NotIndexed";

    public static Error NotIndexed(ImageReference reference, Platform platform, IEnumerable<Platform> present)
    {
        string others = string.Join(", ", present);
        return new Error(
            NotIndexedCode,
            $"{reference} is not indexed{(others.Length > 0 ? $" for {platform} (only for {others})" : "")}: run ctr-starlight notify {reference}",
            ErrorKind.NotFound);
    }

    /// <summary>All of them at once: who asks again without them asks once.</summary>
    public static Error BaseUnknown(IReadOnlyList<ImageReference> unknown)
    {
        string names = string.Join(", ", unknown);
        string message = unknown.Count == 1
            ? $"{names} is not known here, so nothing can be left out for it: ask again without it, or run ctr-starlight notify {names}"
            : $"{names} are not known here, so nothing can be left out for them: ask again without them, or run ctr-starlight notify for each";
        return new Error("Bundle.BaseUnknown", message, ErrorKind.FailedPrecondition) { Subjects = [.. unknown.Select(r => r.ToString())] };
    }

    public static Error ContentUnknown(Digest content, IEnumerable<ImageReference> images) => new("Content.NotInImage", $"{content} is no content of {string.Join(", ", images)}", ErrorKind.NotFound);

    public static Error LayersOutOfRange(Digest manifest, int asked, int present) => new(
        "Delta.LayersOutOfRange", $"the lowest {asked} layers of {manifest} were asked for, but it has {present}", ErrorKind.InvalidInput);
}
