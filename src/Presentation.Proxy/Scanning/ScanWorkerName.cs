using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Scanning;

/// <summary>
/// Who this process is to the other proxies on the same database. The first half stays the same over restarts: it lives in the data directory, which only one process at a
/// time can use; so after a crash the proxy knows its own unfinished jobs and need not wait for their leases. The second half is new for each process.
/// </summary>
internal sealed class ScanWorkerName
{
    private const string FileName = "scanner-id";

    /// <exception cref="FailureException">FailedPrecondition <c>Scanner.NoName</c>.</exception>
    public ScanWorkerName(string dataDirectory)
    {
        string path = Path.Combine(dataDirectory, FileName);
        try
        {
            Directory.CreateDirectory(dataDirectory);
            if (!File.Exists(path) || !Guid.TryParseExact(File.ReadAllText(path).Trim(), "N", out Guid id))
            {
                id = Guid.NewGuid();
                File.WriteAllText(path, $"{id:N}\n");
            }

            Proxy = $"{id:N}/";
            Owner = $"{Proxy}{Environment.MachineName}-{Environment.ProcessId}-{Guid.NewGuid():N}";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FailureException(new Error("Scanner.NoName", $"{path} cannot be read or written: {e.Message}", ErrorKind.FailedPrecondition), e);
        }
    }

    /// <summary>Begins every owner's name of this proxy, also those of processes that are gone.</summary>
    public string Proxy { get; }

    public string Owner { get; }
}
