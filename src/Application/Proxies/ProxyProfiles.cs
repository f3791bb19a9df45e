using FluentValidation;
using MediatR;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Proxies;

/// <summary>Adds a proxy profile or replaces the one of the same name.</summary>
public sealed record AddProxyProfileCommand(ProxyProfile Profile) : IRequest<Result>;

/// <summary>All proxy profiles and the default's name.</summary>
public sealed record ListProxyProfilesQuery : IRequest<Result<ProxyProfileList>>;

public sealed record ProxyProfileList(IReadOnlyList<ProxyProfile> Profiles, string? DefaultName);

/// <summary>Asks a proxy for its version and measures the round trip.</summary>
/// <param name="ProfileName">Null or empty for the default profile.</param>
public sealed record PingProxyQuery(string? ProfileName) : IRequest<Result<ProxyPingReport>>;

public sealed record ProxyPingReport(ProxyProfile Profile, string Version, TimeSpan Latency);

/// <summary>Has a proxy index an image, on behalf of a user of this worker.</summary>
public sealed record NotifyProxyCommand(string? ProfileName, ImageReference Reference, IReadOnlyList<Platform> Platforms, bool Insecure, IProgress<string>? Progress = null)
    : IRequest<Result<NotifyReport>>;

internal sealed class AddProxyProfileHandler(IProxyProfiles profiles) : IRequestHandler<AddProxyProfileCommand, Result>
{
    public Task<Result> Handle(AddProxyProfileCommand request, CancellationToken cancellationToken)
    {
        profiles.Save(request.Profile);
        return Task.FromResult(Result.Success);
    }
}

internal sealed class ListProxyProfilesHandler(IProxyProfiles profiles) : IRequestHandler<ListProxyProfilesQuery, Result<ProxyProfileList>>
{
    public Task<Result<ProxyProfileList>> Handle(ListProxyProfilesQuery request, CancellationToken cancellationToken) =>
        Task.FromResult<Result<ProxyProfileList>>(new ProxyProfileList(profiles.List(), profiles.DefaultName));
}

internal sealed class PingProxyHandler(IProxyProfiles profiles, IProxyClient proxies) : IRequestHandler<PingProxyQuery, Result<ProxyPingReport>>
{
    public async Task<Result<ProxyPingReport>> Handle(PingProxyQuery request, CancellationToken cancellationToken)
    {
        Result<ProxyProfile> profile = profiles.Find(request.ProfileName);
        if (!profile.IsSuccess)
        {
            return profile.Error;
        }

        ProxyPing ping = await proxies.PingAsync(profile.Value, cancellationToken);
        return new ProxyPingReport(profile.Value, ping.Version, ping.Latency);
    }
}

internal sealed class NotifyProxyHandler(IProxyProfiles profiles, IProxyClient proxies) : IRequestHandler<NotifyProxyCommand, Result<NotifyReport>>
{
    public async Task<Result<NotifyReport>> Handle(NotifyProxyCommand request, CancellationToken cancellationToken)
    {
        Result<ProxyProfile> profile = profiles.Find(request.ProfileName);
        return profile.IsSuccess
            ? await proxies.NotifyAsync(profile.Value, request.Reference, request.Platforms, request.Insecure, request.Progress, cancellationToken)
            : profile.Error;
    }
}

internal sealed class NotifyProxyValidator : AbstractValidator<NotifyProxyCommand>
{
    public NotifyProxyValidator() =>
        RuleForEach(c => c.Platforms).Must(p => !p.IsUnknown).WithMessage("a platform needs an operating system and an architecture, e.g. linux/amd64");
}
