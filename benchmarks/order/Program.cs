using System.Globalization;
using Starlight.Benchmarks.Order;

// How much of what a start-up opens arrives in time, by where the order comes from; and what it costs a start to be traced:
//   benchmarks/order/make-trees.sh DIRECTORY [APP…]
//   dotnet run --project benchmarks/order -c Release -- DIRECTORY [APP…]
//   dotnet run --project benchmarks/order -c Release -- --tracing PAIRS DIRECTORY [APP…]
string[] everyApp = ["redis", "memcached", "nginx", "postgres", "python", "node", "java", "tomcat"];
int pairs = 0;
if (args is ["--tracing", _, ..] && int.TryParse(args[1], CultureInfo.InvariantCulture, out pairs) && pairs > 0)
{
    args = args[2..];
}

if (args.Length == 0 || args[0].StartsWith('-'))
{
    await Console.Error.WriteLineAsync("usage: order [--tracing PAIRS] DIRECTORY [APP…]");
    return 2;
}

string[] apps = args.Length > 1 ? args[1..] : everyApp;
if (pairs > 0)
{
    Console.WriteLine(TracingFigures.Heading);
    foreach (string app in apps)
    {
        await using StartRun run = await StartRun.StartAsync(args[0], app);
        Console.WriteLine(await run.MeasureTracingAsync(pairs));
    }

    return 0;
}

List<StartFigures> all = [];
Console.WriteLine(StartFigures.Heading);
foreach (string app in apps)
{
    await using StartRun run = await StartRun.StartAsync(args[0], app);
    StartFigures figures = await run.MeasureAsync();
    all.Add(figures);
    Console.WriteLine(figures);
}

Console.WriteLine(StartFigures.Average(all));
return 0;
