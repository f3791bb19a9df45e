namespace Starlight.Domain.Proxies;

/// <summary>How a worker calls itself in its proxy's logs.</summary>
public static class WorkerName
{
    /// <summary>HTTP header of every request to a proxy.</summary>
    public const string Header = "Starlight-Worker";

    /// <summary>A host name (RFC 1035, 64 with Linux's limit) or a UUID fits.</summary>
    public const int MaxLength = 64;

    /// <summary>It goes into headers and log lines: printable ASCII without spaces and quotes.</summary>
    public static bool IsAcceptable(string name) =>
        name.Length is > 0 and <= MaxLength && name.All(c => c is > ' ' and <= '~' and not ('"' or '\'' or '\\'));
}
