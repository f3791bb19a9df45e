using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Delta;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;

namespace Starlight.Application.Convert;

/// <summary>What comes first in an image's layers, and who says so.</summary>
/// <param name="Files">Of the image, in their order.</param>
/// <param name="Origin">The image that the proxy's answer is about.</param>
/// <param name="Basis">As in <see cref="SentOrder"/>.</param>
/// <param name="Traces">How many it comes from; 0 if it is predicted.</param>
public sealed record FileOrder(PrioritizedFiles Files, ImageReference Origin, string Basis, int Traces);

/// <summary>
/// The orders by which one conversion arranges layers, asked of the proxy before anything is read or sent. Usually an image was converted, traced under its new name, and is converted again; or its
/// next version is. So both the source and the destination are asked for, and the destination's other versions; for each platform what containers have opened comes before what is
/// only predicted, then the source before the destination.
/// </summary>
internal sealed class ImageOptimization
{
    private readonly Dictionary<Platform, FileOrder> _orders = [];
    private readonly ConvertImageCommand _command;

    private ImageOptimization(ConvertImageCommand command) => _command = command;

    /// <returns>Null if the command does not ask for any.</returns>
    /// <exception cref="FailureException">NotFound <c>Convert.OrderUnknown</c>; whatever keeps the proxy from answering.</exception>
    public static async Task<ImageOptimization?> AskAsync(ConvertImageCommand command, CancellationToken cancellationToken)
    {
        if (command.OptimizeFrom is not { } proxy)
        {
            return null;
        }

        ImageOptimization optimization = new(command);
        if (ImageReference.Parse(command.Source) is { IsSuccess: true } source && source.Value != command.Destination)
        {
            await optimization.AskAsync(proxy, source.Value, anyVersion: false, cancellationToken);
        }

        await optimization.AskAsync(proxy, command.Destination, anyVersion: true, cancellationToken);
        return optimization._orders.Count > 0 ? optimization : throw new FailureException(ConvertErrors.OrderUnknown(command.Source, command.Destination));
    }

    /// <exception cref="FailureException">NotFound <c>Convert.OrderUnknown</c> if the proxy knows the image only for other platforms.</exception>
    public FileOrder For(Platform platform) =>
        _orders.GetValueOrDefault(platform) ?? throw new FailureException(ConvertErrors.OrderUnknown(_command.Source, _command.Destination, platform, _orders.Keys));

    private async Task AskAsync(IImageOrders proxy, ImageReference reference, bool anyVersion, CancellationToken cancellationToken)
    {
        IReadOnlyList<SentOrder> orders;
        try
        {
            orders = await proxy.FindAsync(reference, anyVersion, cancellationToken);
        }
        catch (FailureException e) when (e.Error.Code == DeltaErrors.NotIndexedCode || (e.Error.Kind == ErrorKind.PermissionDenied && reference != _command.Destination))
        {
            // not known; a source may also be in a repository that the account has nothing to do with
            return;
        }

        foreach (SentOrder order in orders)
        {
            Platform platform = Platform.Parse(order.Platform).Value;
            if (!_orders.TryGetValue(platform, out FileOrder? known) || Certainty(order.Basis) > Certainty(known.Basis))
            {
                _orders[platform] = new FileOrder(new PrioritizedFiles(order.Contents.SelectMany(c => c.Paths).Select(p => PosixPath.FromText(p).Clean())), reference, order.Basis, order.Traces);
            }
        }
    }

    private static int Certainty(string basis) => basis switch { "traces" => 2, "inherited" => 1, _ => 0 };
}
