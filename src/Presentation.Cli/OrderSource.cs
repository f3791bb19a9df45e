using System.CommandLine;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Proxies;
using Starlight.Domain.References;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;
using Starlight.Infrastructure.ProxyClient;

namespace Starlight.Presentation.Cli;

/// <summary>The proxy of <c>--optimize-from</c>: a URL, so that a build machine needs no daemon, or a proxy profile of the daemon.</summary>
internal static class OrderSource
{
    public static IImageOrders Open(GlobalOptions global, ParseResult parse, ProxyChoice proxy, string name) =>
        name.Contains("://", StringComparison.Ordinal) ? new Direct(proxy.Direct(parse, name)) : new ThroughDaemon(global, parse, name);

    private sealed class Direct(ProxyProfile profile) : IImageOrders
    {
        public async Task<IReadOnlyList<SentOrder>> FindAsync(ImageReference reference, bool anyVersion, CancellationToken cancellationToken)
        {
            using StarlightProxyClient client = new();
            return await client.GetOrderAsync(profile, reference, platform: null, all: false, anyVersion, cancellationToken);
        }
    }

    private sealed class ThroughDaemon(GlobalOptions global, ParseResult parse, string profile) : IImageOrders
    {
        public async Task<IReadOnlyList<SentOrder>> FindAsync(ImageReference reference, bool anyVersion, CancellationToken cancellationToken)
        {
            GetOrderRequest request = new() { Reference = reference.ToString(), ProxyProfile = profile, Platform = "all", AnyVersion = anyVersion };
            using GrpcChannel channel = global.Connect(parse);
            GetOrderResponse response = await channel.UnaryAsync(DaemonMethods.GetOrder, request, default, cancellationToken);
            return [.. response.Images.Select(Read)];
        }

        private static SentOrder Read(GetOrderResponse.Types.Image image) => new(
            image.Platform,
            image.Digest,
            image.Basis,
            image.Traces,
            image.InheritedFrom.Length == 0 ? null : image.InheritedFrom,
            image.Hot,
            image.HotBytes,
            image.Count,
            [.. image.Groups],
            [.. image.Contents.Select(c => new SentContent(c.Digest, c.Size, c.Traces == 0 ? null : c.Rank, c.Traces == 0 ? null : c.AtUs, c.Traces, [.. c.Paths]))]);
    }
}
