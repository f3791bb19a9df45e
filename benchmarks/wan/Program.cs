using System.Globalization;
using System.Runtime.InteropServices;
using Starlight.Benchmarks.Wan;

// Pulls over an emulated long line, each beside the least time it could take. Usage: dotnet run -c Release --project benchmarks/wan [-- self-test | pulls [ROUNDS [LARGEST]]]
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
        await Pulls.RunAsync(link, args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 3, args.Length > 2 ? int.Parse(args[2], CultureInfo.InvariantCulture) : int.MaxValue, stop.Token);
    }

    return 0;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    Console.Error.WriteLine("stopped");
    return 130;
}

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}
