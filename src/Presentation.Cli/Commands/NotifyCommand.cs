using System.CommandLine;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;
using Starlight.Presentation.Cli.Output;
using NotifyReport = Starlight.Infrastructure.Grpc.Protocol.NotifyReport;

namespace Starlight.Presentation.Cli.Commands;

/// <summary><c>ctr-starlight notify REF</c>: has the proxy index an image. Through the daemon's profile, or with <c>--proxy URL</c> straight to a proxy, for build machines without a daemon.</summary>
internal static class NotifyCommand
{
    public static Command Build(GlobalOptions global)
    {
        Argument<string> reference = new("REF") { Description = "image in a registry that the proxy can reach" };
        ProxyChoice proxy = new();
        Option<string> platform = new("--platform") { Description = "comma-separated list such as linux/amd64,linux/arm64, or all [default all]" };
        Option<bool> insecure = new("--insecure") { Description = "the proxy may use plain HTTP or an unverified certificate" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "print nothing on success" };
        Command command = new("notify", "Have the proxy index an image.") { reference, proxy.Profile, proxy.Url, proxy.Authority, platform, insecure, quiet };
        command.SetAction(async (parse, cancellationToken) =>
        {
            IReadOnlyList<Platform> platforms = PlatformList.Parse(parse.GetValue(platform));
            await RunAsync(global, parse, proxy, ImageReference.Parse(parse.GetRequiredValue(reference)).Value, platforms, parse.GetValue(insecure), parse.GetValue(quiet), cancellationToken);
            return 0;
        });
        return command;
    }

    /// <summary>Also the second half of <c>convert --notify</c>.</summary>
    public static async Task RunAsync(
        GlobalOptions global, ParseResult parse, ProxyChoice proxy, ImageReference reference, IReadOnlyList<Platform> platforms, bool insecure, bool quiet, CancellationToken cancellationToken)
    {
        if (proxy.DirectOf(parse) is { } direct)
        {
            Application.Abstractions.Proxies.NotifyReport report;
            using (StatusLine status = new(quiet))
            {
                using Infrastructure.ProxyClient.StarlightProxyClient client = new();
                report = await client.NotifyAsync(direct, reference, platforms, insecure, new StatusProgress(status), cancellationToken);
            }

            Print(quiet, report.Reference, report.Digest, (long)report.Elapsed.TotalMilliseconds, report.Platforms.Select(p => (p.Platform, p.Layers, p.NewLayers, p.Files, p.Bytes)));
            return;
        }

        NotifyProxyRequest request = new() { Reference = reference.ToString(), Insecure = insecure, ProxyProfile = parse.GetValue(proxy.Profile) ?? "" };
        request.Platforms.AddRange(platforms.Select(p => p.ToString()));
        using GrpcChannel channel = global.Connect(parse);
        NotifyReport? last = null;
        using (StatusLine status = new(quiet))
        {
            await foreach (NotifyProgress progress in channel.ServerStreamAsync(DaemonMethods.NotifyProxy, request, default, cancellationToken))
            {
                last = progress.Report ?? last;
                status.Show(progress.Message);
            }
        }

        if (last is null)
        {
            throw new FailureException(new Error("Notify.NoReport", "the daemon ended the call without a report: see its log", ErrorKind.Internal));
        }

        Print(quiet, last.Reference, last.Digest, last.ElapsedMs, last.Platforms.Select(p => (p.Platform_, p.Layers, p.NewLayers, p.Files, p.Bytes)));
    }

    private static void Print(bool quiet, string reference, string digest, long elapsedMs, IEnumerable<(string Platform, int Layers, int NewLayers, int Files, long Bytes)> platforms)
    {
        if (quiet)
        {
            return;
        }

        Console.WriteLine($"{reference} {digest} indexed in {elapsedMs} ms");
        foreach ((string platform, int layers, int newLayers, int files, long bytes) in platforms)
        {
            Console.WriteLine($"  {platform}: {layers} layers ({newLayers} new), {files} files, {Bytes.Text(bytes)}");
        }
    }

    private sealed class StatusProgress(StatusLine status) : IProgress<string>
    {
        public void Report(string value) => status.Show(value);
    }
}
