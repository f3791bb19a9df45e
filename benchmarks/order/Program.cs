using Starlight.Benchmarks.Order;

// How much of what a start-up opens arrives in time, by where the order comes from:
//   benchmarks/order/make-trees.sh DIRECTORY [APP…]
//   dotnet run --project benchmarks/order -c Release -- DIRECTORY [APP…]
if (args.Length == 0)
{
    await Console.Error.WriteLineAsync("usage: order DIRECTORY [APP…]");
    return 2;
}

string[] apps = args.Length > 1 ? args[1..] : ["redis", "memcached", "nginx", "postgres", "python", "node", "java", "tomcat"];
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
