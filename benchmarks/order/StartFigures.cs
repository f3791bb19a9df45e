using System.Globalization;

namespace Starlight.Benchmarks.Order;

/// <param name="Opened">Contents that the start-up opened.</param>
/// <param name="OpenedBytes">Their length.</param>
/// <param name="Paths">Of the contents of both versions, one each.</param>
internal sealed record StartFigures(string App, int Opened, long OpenedBytes, long ImageBytes, OrderFigures Path, OrderFigures Predicted, OrderFigures Inherited, OrderFigures Own, IReadOnlyDictionary<string, string> Paths)
{
    public static string Heading => string.Create(
        CultureInfo.InvariantCulture,
        $"""
        share of the opened bytes in the hot part (%), its size (x opened), share within as many bytes of the stream (%);
        share before the first stall that another order would have spared (%), and how much longer the start-up takes for it (%), at {OrderFigures.Line / 1e6:0} Mbit/s
        {"app",-10} {"opened",6} {"MB",6} {"of MB",6} | {"path",32} | {"predicted",32} | {"inherited",32} | {"own trace",32}
        """);

    public static StartFigures Average(IReadOnlyList<StartFigures> all) => new(
        "average",
        (int)all.Average(f => f.Opened),
        (long)all.Average(f => f.OpenedBytes),
        (long)all.Average(f => f.ImageBytes),
        Average(all, f => f.Path),
        Average(all, f => f.Predicted),
        Average(all, f => f.Inherited),
        Average(all, f => f.Own),
        new Dictionary<string, string>());

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{App,-10} {Opened,6} {OpenedBytes / 1e6,6:0.0} {ImageBytes / 1e6,6:0.0} | {Text(Path)} | {Text(Predicted)} | {Text(Inherited)} | {Text(Own)}{Stall("predicted", Predicted)}{Stall("inherited", Inherited)}{Stall("own trace", Own)}");

    private string Stall(string name, OrderFigures order) => order.StalledAt is { } at ? $"\n{"",10} {name} first stalls at {Paths[at]}" : "";

    private static string Text(OrderFigures order) => string.Create(
        CultureInfo.InvariantCulture, $"{100 * order.Hot,6:0.0} {order.HotSize,5:0.00} {100 * order.Prefix,6:0.0} {100 * order.BeforeStall,6:0.0} {100 * order.Late,5:0}");

    private static OrderFigures Average(IReadOnlyList<StartFigures> all, Func<StartFigures, OrderFigures> of) => new(
        all.Average(f => of(f).Hot), all.Average(f => of(f).HotSize), all.Average(f => of(f).Prefix), all.Average(f => of(f).BeforeStall), all.Average(f => of(f).Late), StalledAt: null);
}
