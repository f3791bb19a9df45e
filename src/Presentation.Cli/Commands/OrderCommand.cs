using System.CommandLine;
using System.Globalization;
using Starlight.Domain.References;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;
using Starlight.Presentation.Cli.Output;

namespace Starlight.Presentation.Cli.Commands;

/// <summary><c>ctr-starlight order show REF</c>: in which order the proxy sends an image's contents, and what it knows of them.</summary>
internal static class OrderCommand
{
    public static Command Build(GlobalOptions global)
    {
        Argument<string> reference = new("REF") { Description = "image that the proxy has indexed" };
        Option<string> profile = new("--profile", "-p") { Description = "proxy profile [default: the default profile]" };
        Option<string> platform = new("--platform") { Description = "e.g. linux/arm64 [default: this machine's]" };
        Option<bool> all = new("--all") { Description = "also what is not expected to be opened during start-up" };
        Command show = new("show", "Show an image's order: rank, opening time, traces, size and paths.") { reference, profile, platform, all };
        show.SetAction(async (parse, cancellationToken) =>
        {
            GetOrderRequest request = new()
            {
                Reference = ImageReference.Parse(parse.GetRequiredValue(reference)).Value.ToString(),
                ProxyProfile = parse.GetValue(profile) ?? "",
                Platform = parse.GetValue(platform) ?? "",
                All = parse.GetValue(all),
            };
            using GrpcChannel channel = global.Connect(parse);
            foreach (GetOrderResponse.Types.Image image in (await channel.UnaryAsync(DaemonMethods.GetOrder, request, default, cancellationToken)).Images)
            {
                Print(image);
            }

            return 0;
        });
        return new Command("order", "Look at the order in which contents are sent.") { show };
    }

    private static void Print(GetOrderResponse.Types.Image image)
    {
        string basis = image.Basis switch
        {
            "traces" => $"from {image.Traces} traces",
            "inherited" => $"from {image.Traces} traces of {image.InheritedFrom}",
            _ => "predicted: there are no traces",
        };
        string groups = image.Groups.Count > 0 ? $", groups {string.Join(", ", image.Groups)}" : "";
        Console.WriteLine($"{image.Platform} {image.Digest}");
        Console.WriteLine($"  {basis}{groups}; first {image.Hot} of {image.Count} contents, {Bytes.Text(image.HotBytes)}");
        Console.WriteLine("  POSITION    RANK     AT ms  TRACES        SIZE  PATHS");
        for (int i = 0; i < image.Contents.Count; i++)
        {
            GetOrderResponse.Types.Content content = image.Contents[i];
            string seen = content.Traces == 0 ? $"{"-",7}  {"-",8}" : string.Create(CultureInfo.InvariantCulture, $"{content.Rank,7:0.0}  {content.AtUs / 1000.0,8:0.0}");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {i + 1,8} {seen}  {content.Traces,6}  {content.Size,10}  {string.Join(' ', content.Paths)}"));
        }
    }
}
