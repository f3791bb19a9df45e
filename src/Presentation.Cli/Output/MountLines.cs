using Starlight.Infrastructure.Grpc.Protocol;

namespace Starlight.Presentation.Cli.Output;

/// <summary>How a worker mounts containers, and why not better: a user sees at once why there is no early start.</summary>
internal static class MountLines
{
    public static void Print(string label, GetVersionResponse daemon)
    {
        Console.WriteLine(label + daemon.MountMode);
        string indent = new(' ', label.Length);
        foreach (string shortcoming in daemon.MountShortcomings)
        {
            Console.WriteLine($"{indent}- {shortcoming}");
        }
    }
}
