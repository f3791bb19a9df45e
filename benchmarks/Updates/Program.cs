using System.Globalization;
using Starlight.Benchmarks.Updates;

// How many bytes an update of an image takes, with and without patches, against its changed files gzipped one by one:
//   dotnet run --project benchmarks/Updates -c Release -- layout OCI-LAYOUT OLD-TAG NEW-TAG
//   dotnet run --project benchmarks/Updates -c Release -- trees OLD-DIRECTORY NEW-DIRECTORY
if (args is not (["layout", _, _, _] or ["trees", _, _]))
{
    await Console.Error.WriteLineAsync("usage: updates layout OCI-LAYOUT OLD-TAG NEW-TAG | updates trees OLD-DIRECTORY NEW-DIRECTORY");
    return 2;
}

await using UpdateRun run = await UpdateRun.StartAsync();
(string from, string to) = args[0] == "layout" ? (run.Copy(args[1], args[2], "old"), run.Copy(args[1], args[3], "new")) : (await run.PushAsync(args[1], "old"), await run.PushAsync(args[2], "new"));
UpdateFigures figures = await run.MeasureAsync(from, to);
Console.WriteLine(figures.ToString());
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"bundle with patches / changed files gzipped one by one: {figures.Ratio:0.000} (at most 0.25 is the aim)"));
return 0;
