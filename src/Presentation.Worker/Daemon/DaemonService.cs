using MediatR;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Proxies;
using Starlight.Application.Pull;
using Starlight.Domain.Images;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;
using Starlight.Presentation.Worker.Configuration;
using PullProgress = Starlight.Infrastructure.Grpc.Protocol.PullProgress;
using PullStage = Starlight.Infrastructure.Grpc.Protocol.PullStage;
using UseCase = Starlight.Application.Pull;

namespace Starlight.Presentation.Worker.Daemon;

/// <summary>The service <c>api.Daemon</c>: parses what the command line sends, runs the use case, maps what comes back.</summary>
internal sealed class DaemonService(IMediator mediator, DaemonSettings settings, DaemonFacts facts, IContainerRuntime containerd, IProxyProfiles profiles)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcUnary(DaemonMethods.GetVersion, (request, call) => Of(call).GetVersionAsync(call.CancellationToken));
        endpoints.MapGrpcUnary(DaemonMethods.PingTest, (request, call) => Of(call).PingAsync(request, call.CancellationToken));
        endpoints.MapGrpcUnary(DaemonMethods.AddProxyProfile, (request, call) => Of(call).AddProfileAsync(request, call.CancellationToken));
        endpoints.MapGrpcUnary(DaemonMethods.GetProxyProfiles, (request, call) => Of(call).GetProfilesAsync(call.CancellationToken));
        endpoints.MapGrpcServerStreaming(DaemonMethods.NotifyProxy, (request, stream, call) => Of(call).NotifyAsync(request, stream, call.CancellationToken));
        endpoints.MapGrpcServerStreaming(DaemonMethods.PullImage, (request, stream, call) => Of(call).PullAsync(request, stream, call.CancellationToken));
    }

    private static DaemonService Of(GrpcCallContext call) => call.Services.GetRequiredService<DaemonService>();

    private async Task<GetVersionResponse> GetVersionAsync(CancellationToken cancellationToken) => new()
    {
        Version = facts.Version,
        Commit = facts.Commit,
        Kernel = facts.Kernel,
        MountMode = facts.Mounts.Description,
        EarlyStart = facts.Mounts.EarlyStart,
        MountShortcomings = { facts.Mounts.Shortcomings },
        ContainerdVersion = await ContainerdVersionAsync(cancellationToken),
        DefaultProxyProfile = profiles.DefaultName ?? "",
    };

    private async Task<string> ContainerdVersionAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await containerd.GetVersionAsync(cancellationToken);
        }
        catch (FailureException e) when (e.Error.Kind is ErrorKind.Unavailable or ErrorKind.PermissionDenied)
        {
            return ""; // what the message defines for a containerd that does not answer
        }
    }

    private async Task<PingTestResponse> PingAsync(PingTestRequest request, CancellationToken cancellationToken)
    {
        ProxyPingReport ping = (await mediator.Send(new PingProxyQuery(request.ProxyProfile), cancellationToken)).Value;
        return new PingTestResponse
        {
            LatencyMs = ping.Latency.TotalMilliseconds,
            ProxyVersion = ping.Version,
            Profile = ping.Profile.Name,
            Endpoint = ping.Profile.Endpoint.ToString(),
        };
    }

    private async Task<AddProxyProfileResponse> AddProfileAsync(AddProxyProfileRequest request, CancellationToken cancellationToken)
    {
        ProxyProfile profile = ProxyProfile.Create(
            request.Name, request.Protocol, request.Address, request.Username, request.Password, request.Token, request.CaFile).Value;
        (await mediator.Send(new AddProxyProfileCommand(profile), cancellationToken)).ThrowIfFailure();
        return new AddProxyProfileResponse();
    }

    private async Task<GetProxyProfilesResponse> GetProfilesAsync(CancellationToken cancellationToken)
    {
        ProxyProfileList list = (await mediator.Send(new ListProxyProfilesQuery(), cancellationToken)).Value;
        GetProxyProfilesResponse response = new();
        response.Profiles.AddRange(list.Profiles.Select(p => new GetProxyProfilesResponse.Types.Profile
        {
            Name = p.Name,
            Protocol = p.Endpoint.Scheme,
            Address = p.Endpoint.Authority + p.Endpoint.AbsolutePath.TrimEnd('/'),
            IsDefault = p.Name == list.DefaultName,
            Username = p.User ?? "",
            HasToken = p.Token is not null,
            CaFile = p.AuthorityFile ?? "",
        }));
        return response;
    }

    private async Task NotifyAsync(NotifyProxyRequest request, GrpcServerStream<NotifyProgress> stream, CancellationToken cancellationToken)
    {
        NotifyProxyCommand Command(IProgress<string> progress) => new(
            request.ProxyProfile,
            ImageReference.Parse(request.Reference).Value,
            [.. request.Platforms.Select(p => Platform.Parse(p).Value)],
            request.Insecure,
            progress);

        Application.Abstractions.Proxies.NotifyReport report = await StreamedProgress.RunAsync<string, Application.Abstractions.Proxies.NotifyReport>(
            async progress => (await mediator.Send(Command(progress), cancellationToken)).Value,
            message => stream.WriteAsync(new NotifyProgress { Message = message }));
        await stream.WriteAsync(new NotifyProgress { Report = ToMessage(report) });
    }

    private static Infrastructure.Grpc.Protocol.NotifyReport ToMessage(Application.Abstractions.Proxies.NotifyReport report)
    {
        Infrastructure.Grpc.Protocol.NotifyReport message = new() { Reference = report.Reference, Digest = report.Digest, ElapsedMs = (long)report.Elapsed.TotalMilliseconds };
        message.Platforms.AddRange(report.Platforms.Select(p => new Infrastructure.Grpc.Protocol.NotifyReport.Types.Platform
        {
            Platform_ = p.Platform,
            ManifestDigest = p.ManifestDigest,
            FilesystemDigest = p.FilesystemDigest,
            Layers = p.Layers,
            NewLayers = p.NewLayers,
            Files = p.Files,
            Contents = p.Contents,
            Bytes = p.Bytes,
        }));
        return message;
    }

    private async Task PullAsync(PullImageRequest request, GrpcServerStream<PullProgress> stream, CancellationToken cancellationToken)
    {
        PullImagesCommand Command(IProgress<UseCase.PullProgress> progress) => new(
            [.. request.References.Select(r => ImageReference.Parse(r).Value)],
            request.Base.Length == 0 ? null : ImageReference.Parse(request.Base).Value,
            request.ProxyProfile,
            request.Namespace.Length == 0 ? settings.DefaultNamespace : request.Namespace,
            request.Platform.Length == 0 ? null : Platform.Parse(request.Platform).Value,
            request.DisableEarlyStart,
            progress);

        PullReport report = await StreamedProgress.RunAsync<UseCase.PullProgress, PullReport>(
            async progress => (await mediator.Send(Command(progress), cancellationToken)).Value,
            p => stream.WriteAsync(new PullProgress
            {
                Stage = p.Stage switch
                {
                    UseCase.PullStage.Requesting => PullStage.Requesting,
                    UseCase.PullStage.Registering => PullStage.Registering,
                    UseCase.PullStage.Receiving => PullStage.Receiving,
                    _ => PullStage.Unspecified,
                },
                Message = p.Message,
                ReceivedBytes = p.Reception.ReceivedBytes,
                TotalBytes = p.Reception.TotalBytes,
                ContentsDone = p.Reception.ContentsDone,
                ContentsTotal = p.Reception.ContentsTotal,
            }));
        await stream.WriteAsync(Last(report));
    }

    private static PullProgress Last(PullReport report)
    {
        PullSummary summary = new()
        {
            LayerBytes = report.LayerBytes,
            ContentBytes = report.ContentBytes,
            SentContentBytes = report.SentContentBytes,
            WireBytes = report.Reception.ReceivedBytes,
            ElapsedMs = (long)report.Elapsed.TotalMilliseconds,
            Complete = report.Complete,
        };
        summary.Images.AddRange(report.Images.Select(i => new PullSummary.Types.Image { Name = i.Name, Digest = i.Target.Digest.ToString(), Layers = i.Layers, Unpacked = i.Unpacked }));
        summary.BaseImages.AddRange(report.Bases.Select(b => b.Reference.ToString()));
        return new PullProgress
        {
            Stage = PullStage.Receiving,
            ReceivedBytes = report.Reception.ReceivedBytes,
            TotalBytes = report.Reception.TotalBytes,
            ContentsDone = report.Reception.ContentsDone,
            ContentsTotal = report.Reception.ContentsTotal,
            Summary = summary,
        };
    }
}
