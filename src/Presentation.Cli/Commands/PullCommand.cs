using System.CommandLine;
using System.Globalization;
using Starlight.Domain.References;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;
using Starlight.Presentation.Cli.Output;

namespace Starlight.Presentation.Cli.Commands;

/// <summary><c>ctr-starlight pull [BASE] REF…</c>: one request to the proxy; returns as soon as containers can be created.</summary>
internal static class PullCommand
{
    public static Command Build(GlobalOptions global)
    {
        Argument<string[]> references = new("REF")
        {
            Description = "image to pull; several are fetched as one, in one order. Of exactly two of one repository the first is not pulled but built upon, as with --base",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<string> from = new("--base") { Description = "image on this worker to build upon [default: every complete one]", HelpName = "REF" };
        Option<string> profile = new("--profile", "-p") { Description = "proxy profile [default: the default profile]" };
        Option<string> platform = new("--platform") { Description = "e.g. linux/arm64 [default: this machine's]" };
        Option<bool> wait = new("--disable-early-start", "-w") { Description = "return only when every content has arrived" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "print nothing on success" };
        Command command = new("pull", "Pull images through the proxy.") { references, from, profile, platform, wait, quiet };
        command.SetAction(async (parse, cancellationToken) =>
        {
            (string based, string[] names) = Split(parse.GetRequiredValue(references), parse.GetValue(from));
            PullImageRequest request = new()
            {
                Base = based,
                ProxyProfile = parse.GetValue(profile) ?? "",
                Platform = parse.GetValue(platform) ?? "",
                Namespace = global.NamespaceOf(parse),
                DisableEarlyStart = parse.GetValue(wait),
            };
            request.References.AddRange(names);
            using GrpcChannel channel = global.Connect(parse);
            PullSummary? summary = null;
            using (StatusLine status = new(parse.GetValue(quiet)))
            {
                await foreach (PullProgress progress in channel.ServerStreamAsync(DaemonMethods.PullImage, request, default, cancellationToken))
                {
                    summary = progress.Summary ?? summary;
                    status.Show(progress.Stage == PullStage.Receiving && progress.Message.Length > 0
                        ? $"{progress.Message}: {Bytes.Text(progress.ReceivedBytes)}, {progress.ContentsDone}/{progress.ContentsTotal} contents"
                        : progress.Message);
                }
            }

            if (!parse.GetValue(quiet) && summary is not null)
            {
                Print(summary);
            }

            return 0;
        });
        return command;
    }

    /// <summary>What the original calls <c>pull BASE REF</c> is an update of one repository; images of different ones are wanted together.</summary>
    private static (string Base, string[] References) Split(string[] names, string? named)
    {
        bool isUpdate = named is null && names.Length == 2 && ImageReference.Parse(names[0]) is { IsSuccess: true } first && ImageReference.Parse(names[1]) is { IsSuccess: true } second
            && first.Value.Name == second.Value.Name;
        return isUpdate ? (names[0], names[1..]) : (named ?? "", names);
    }

    private static void Print(PullSummary summary)
    {
        foreach (PullSummary.Types.Image image in summary.Images)
        {
            Console.WriteLine($"{image.Name} {image.Digest}");
            if (image.Unpacked)
            {
                Console.WriteLine("  containerd has unpacked it before: these layers are kept, nothing is received for it");
            }
        }

        if (summary.Images.All(i => i.Unpacked))
        {
            return;
        }

        if (summary.BaseImages.Count > 0)
        {
            Console.WriteLine($"  built upon {string.Join(", ", summary.BaseImages)}");
        }

        double saved = summary.ContentBytes == 0 ? 0 : 100.0 * (summary.ContentBytes - summary.SentContentBytes) / summary.ContentBytes;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {Bytes.Text(summary.SentContentBytes)} of {Bytes.Text(summary.ContentBytes)} contents to receive ({saved:0.0} % here already); layers are {Bytes.Text(summary.LayerBytes)}"));
        Console.WriteLine(summary.Complete
            ? $"  complete: {Bytes.Text(summary.WireBytes)} received in {summary.ElapsedMs} ms"
            : $"  ready to start after {summary.ElapsedMs} ms; contents go on arriving");
    }
}
