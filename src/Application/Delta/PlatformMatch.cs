using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Images;

namespace Starlight.Application.Delta;

/// <summary>Which of an image's platforms a worker can use, best first, as containerd's platforms.Only has it: a processor runs what is made for its lower variants.</summary>
internal static class PlatformMatch
{
    public static NamedImage? Match(this Platform worker, IReadOnlyDictionary<Platform, NamedImage> platforms)
    {
        foreach (Platform candidate in Candidates(worker))
        {
            if (platforms.TryGetValue(candidate, out NamedImage? image))
            {
                return image;
            }
        }

        return null;
    }

    private static IEnumerable<Platform> Candidates(Platform worker)
    {
        yield return worker;
        if (worker.Variant is not ['v', _] || !char.IsAsciiDigit(worker.Variant[1]))
        {
            yield break;
        }

        // arm goes down to v5, the others to the variant that has no name (amd64 v1, arm64 v8).
        int lowest = worker.Architecture == "arm" ? 5 : 1;
        for (int variant = worker.Variant[1] - '0' - 1; variant >= lowest; variant--)
        {
            yield return Platform.Normalise(worker.Os, worker.Architecture, $"v{variant}");
        }

        if (worker.Architecture != "arm")
        {
            yield return worker with { Variant = null };
        }
    }
}
