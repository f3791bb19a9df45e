using System.Globalization;
using Starlight.Benchmarks.Updates;

// How many bytes an update of an image takes, with and without patches, against its changed files gzipped one by one, and what preparing it saves the first worker:
//   dotnet run --project benchmarks/Updates -c Release -- layout OCI-LAYOUT OLD-TAG NEW-TAG
//   dotnet run --project benchmarks/Updates -c Release -- trees OLD-DIRECTORY NEW-DIRECTORY
if (args is not (["layout", _, _, _] or ["trees", _, _]))
{
    await Console.Error.WriteLineAsync("usage: updates layout OCI-LAYOUT OLD-TAG NEW-TAG | updates trees OLD-DIRECTORY NEW-DIRECTORY");
    return 2;
}

await using UpdateRun run = await UpdateRun.StartAsync(preparing: false);
(string from, string to) = await PushAsync(run);
UpdateFigures figures = await run.MeasureAsync(from, to);
Console.WriteLine(figures.ToString());

await using UpdateRun prepared = await UpdateRun.StartAsync(preparing: true);
(from, to) = await PushAsync(prepared);
double seconds = await prepared.MeasurePreparedAsync(from, to);
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"first worker's update   {seconds:0.000} s prepared, {figures.Patched.BuildSeconds:0.000} s made when asked for: {seconds / figures.Patched.BuildSeconds:0.000}"));
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"bundle with patches / changed files gzipped one by one: {figures.Ratio:0.000} (at most 0.25 is the aim)"));
return 0;

async Task<(string From, string To)> PushAsync(UpdateRun to) => args[0] == "layout"
    ? (to.Copy(args[1], args[2], "old"), to.Copy(args[1], args[3], "new"))
    : (await to.PushAsync(args[1], "old"), await to.PushAsync(args[2], "new"));
