using System.CommandLine;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Application;
using Starlight.Application.Convert;
using Starlight.Domain.References;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Images;
using Starlight.Infrastructure.Registry;
using Starlight.Presentation.Cli.Output;

namespace Starlight.Presentation.Cli.Commands;

/// <summary><c>ctr-starlight convert SRC DST</c>: runs in this process, so that a build machine needs no daemon.</summary>
internal static class ConvertCommand
{
    public static Command Build(GlobalOptions global)
    {
        Argument<string> source = new("SRC") { Description = "registry reference, oci:DIR[:TAG], or a docker or OCI archive (.tar, .tar.gz)" };
        Argument<string> destination = new("DST") { Description = "registry reference with a tag" };
        Option<bool> notify = new("--notify") { Description = "then have the proxy index the converted image" };
        ProxyChoice proxy = new();
        Option<string> optimizeFrom = new("--optimize-from")
        {
            Description = "put the files that containers open first at the front of their layers, as this proxy has learned from traces or predicts: its URL as for --proxy, or a proxy profile of the daemon",
            HelpName = "PROXY",
        };
        Option<string> platform = new("--platform") { Description = "comma-separated list such as linux/amd64,linux/arm64, or all [default all]" };
        Option<bool> insecureSource = new("--insecure-source") { Description = "plain HTTP or an unverified certificate is good enough for SRC" };
        Option<bool> insecureDestination = new("--insecure-destination") { Description = "the same for DST, also when the proxy reads it" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "print nothing on success" };
        Command command = new("convert", "Rewrite an image's layers as seekable eStargz and push it.")
        {
            source, destination, optimizeFrom, notify, proxy.Profile, proxy.Url, proxy.Authority, platform, insecureSource, insecureDestination, quiet,
        };
        command.SetAction(async (parse, cancellationToken) =>
        {
            ImageReference target = ImageReference.Parse(parse.GetRequiredValue(destination)).Value;
            bool silent = parse.GetValue(quiet);
            ConvertImageResult result;
            await using (ServiceProvider services = Services())
            await using (ConvertBars bars = new(silent))
            {
                result = (await services.GetRequiredService<IMediator>().Send(
                    new ConvertImageCommand(
                        parse.GetRequiredValue(source),
                        target,
                        PlatformSelection.Parse(parse.GetValue(platform) ?? "all").Value,
                        parse.GetValue(insecureSource),
                        parse.GetValue(insecureDestination),
                        bars,
                        parse.GetValue(optimizeFrom) is { } from ? OrderSource.Open(global, parse, proxy, from) : null),
                    cancellationToken)).Value;
            }

            if (!silent)
            {
                Print(target, result);
            }

            if (parse.GetValue(notify))
            {
                await NotifyCommand.RunAsync(
                    global, parse, proxy, target, PlatformList.Parse(parse.GetValue(platform)), parse.GetValue(insecureDestination), silent, cancellationToken);
            }

            return 0;
        });
        return command;
    }

    private static ServiceProvider Services()
    {
        ServiceCollection services = new();
        services.AddLogging(logging => logging.ClearProviders());
        services.AddApplication();
        services.AddImageTransports();
        services.AddLayerFormats();
        services.AddFilesystemImages();
        return services.BuildServiceProvider();
    }

    private static void Print(ImageReference target, ConvertImageResult result)
    {
        Console.WriteLine($"{target} {result.Digest}");
        foreach (ConvertedImage image in result.Images)
        {
            Console.WriteLine($"  {image.Platform}: {image.Layers} layers ({image.ReusedLayers} reused), {Bytes.Text(image.SourceSize)} → {Bytes.Text(image.ConvertedSize)}, manifest {image.ManifestDigest}");
            if (image.Order is { } order)
            {
                Console.WriteLine($"    {order.Files.Paths.Count} files first, {Basis(order)}");
            }
        }
    }

    private static string Basis(FileOrder order) => order.Basis switch
    {
        "traces" => $"from {order.Traces} traces of {order.Origin}",
        "inherited" => $"from {order.Traces} traces of an earlier version of {order.Origin}",
        _ => $"predicted for {order.Origin}: there are no traces",
    };
}
