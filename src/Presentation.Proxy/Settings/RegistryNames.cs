using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Settings;

/// <summary>
/// How references that clients send become references that this proxy can reach: names without a registry belong to the default registry, and
/// the default registry may be known to clients by other names.
/// </summary>
internal sealed record RegistryNames(string DefaultRegistry, IReadOnlyList<string> Aliases)
{
    public Result<ImageReference> Parse(string? text)
    {
        Result<ImageReference> parsed = ImageReference.Parse(text ?? "", DefaultRegistry);
        if (!parsed.IsSuccess || !Aliases.Contains(parsed.Value.Registry, StringComparer.OrdinalIgnoreCase))
        {
            return parsed;
        }

        return ImageReference.Parse(DefaultRegistry + parsed.Value.ToString()[parsed.Value.Registry.Length..], DefaultRegistry);
    }
}
