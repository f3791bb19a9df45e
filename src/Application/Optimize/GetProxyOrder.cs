using MediatR;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Optimize;

/// <summary>In which order a proxy sends an image's contents.</summary>
/// <param name="ProfileName">Null or empty for the default profile.</param>
/// <param name="Platform">Null for all that the proxy knows.</param>
/// <param name="All">Also contents that are not expected to be opened during start-up.</param>
/// <param name="AnyVersion">If the proxy does not know the image, of another version in its repository that was traced.</param>
public sealed record GetProxyOrderQuery(string? ProfileName, ImageReference Reference, Platform? Platform, bool All, bool AnyVersion) : IRequest<Result<IReadOnlyList<SentOrder>>>;

internal sealed class GetProxyOrderHandler(IProxyProfiles profiles, IProxyClient proxies) : IRequestHandler<GetProxyOrderQuery, Result<IReadOnlyList<SentOrder>>>
{
    public async Task<Result<IReadOnlyList<SentOrder>>> Handle(GetProxyOrderQuery request, CancellationToken cancellationToken)
    {
        Result<ProxyProfile> profile = profiles.Find(request.ProfileName);
        return profile.IsSuccess
            ? Result<IReadOnlyList<SentOrder>>.Success(await proxies.GetOrderAsync(profile.Value, request.Reference, request.Platform, request.All, request.AnyVersion, cancellationToken))
            : profile.Error;
    }
}
