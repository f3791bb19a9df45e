using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Abstractions.Proxies;

/// <summary>The daemon's proxy profiles. Changes are on disk before the call returns.</summary>
public interface IProxyProfiles
{
    /// <summary>The profile that commands use when none is named; null if there is none.</summary>
    string? DefaultName { get; }

    IReadOnlyList<ProxyProfile> List();

    /// <param name="name">Null or empty for the default.</param>
    /// <returns>NotFound <c>Proxy.ProfileUnknown</c> if there is no such profile.</returns>
    Result<ProxyProfile> Find(string? name);

    /// <summary>Adds a profile or replaces the one of the same name. The first one becomes the default.</summary>
    void Save(ProxyProfile profile);
}
