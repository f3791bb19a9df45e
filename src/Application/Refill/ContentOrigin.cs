using Starlight.Domain.Catalog;

namespace Starlight.Application.Refill;

/// <summary>Where contents of an image can be read again.</summary>
/// <param name="Layers">Topmost first: a content that several layers have is read from the one that is smallest as a rule.</param>
/// <param name="Repositories">Tried in turn.</param>
public sealed record ContentOrigin(IReadOnlyList<IndexedLayer> Layers, IReadOnlyList<ImageOrigin> Repositories);
