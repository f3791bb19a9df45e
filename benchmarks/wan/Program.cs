using System.Globalization;
using System.Runtime.InteropServices;
using Starlight.Benchmarks.Wan;

// Pulls over an emulated long line, each beside the least time it could take. Usage: dotnet run -c Release --project benchmarks/wan [-- self-test | pulls [ROUNDS [MEGABYTES,… [STRIPES,…]]]]
// Needs root. Set STARLIGHT_BIN to the programs that scripts/build.sh makes.
NetworkNamespace.EnterOwn();
using CancellationTokenSource stop = new();
using PosixSignalRegistration interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
try
{
    using EmulatedLink link = new();
    string what = args is [{ } first, ..] ? first : "all";
    if (what is "all" or "self-test")
    {
        SelfTest.Run(link, stop.Token);
    }

    if (what is "all" or "pulls")
    {
        await Pulls.RunAsync(link, Numbers(1, "3")[0], Numbers(2, "1,4,16"), Numbers(3, "1,4,8,12"), stop.Token);
    }

    return 0;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    Console.Error.WriteLine("stopped");
    return 130;
}

int[] Numbers(int index, string otherwise) => [.. (args.Length > index ? args[index] : otherwise).Split(',').Select(n => int.Parse(n, CultureInfo.InvariantCulture))];

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}
