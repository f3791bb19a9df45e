using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Scanning;

/// <summary>When a failed job is tried again. Pauses double from <see cref="FirstPause"/> to <see cref="LongestPause"/>; all attempts together take some four hours.</summary>
public static class RetryPolicy
{
    /// <summary>Enough for a registry that is down for a night's maintenance window. Arbitrary.</summary>
    public const int MaxAttempts = 12;

    /// <summary>A registry announces a push before all of its replicas have it; what is not there after so many attempts has been deleted.</summary>
    private const int MissingAttempts = 3;

    public static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(10);

    public static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);

    /// <summary>Null if trying again cannot help or has been tried often enough.</summary>
    /// <param name="error">Why the last attempt failed.</param>
    /// <param name="attempts">Attempts so far, at least 1.</param>
    public static TimeSpan? PauseAfter(Error error, int attempts)
    {
        ArgumentNullException.ThrowIfNull(error);
        int limit = error.Kind switch
        {
            ErrorKind.InvalidInput or ErrorKind.Unsupported or ErrorKind.DataCorrupt or ErrorKind.AlreadyExists => 1,
            ErrorKind.NotFound => MissingAttempts,

            // Logins and disks get repaired.
            _ => MaxAttempts,
        };
        if (attempts >= limit)
        {
            return null;
        }

        double seconds = FirstPause.TotalSeconds * Math.Pow(2, Math.Max(0, attempts - 1));
        return seconds < LongestPause.TotalSeconds ? TimeSpan.FromSeconds(seconds) : LongestPause;
    }
}
