namespace Starlight.Presentation.Proxy.Access;

/// <summary>
/// Slows guessing down: after <see cref="Burst"/> failures a client's passwords are not even looked at until some time has passed. Logins that succeeded before
/// are remembered elsewhere and go on, so one misconfigured worker does not lock out the others behind its address.
/// </summary>
internal sealed class FailedLogins(TimeProvider time)
{
    /// <summary>Typing mistakes and a worker's few retries are free. Arbitrary.</summary>
    private const int Burst = 20;

    /// <summary>Clients remembered; beyond that the oldest failures are forgiven. Bounds memory under an attack from many addresses.</summary>
    private const int MaxClients = 10_000;

    private static readonly TimeSpan Forgiveness = TimeSpan.FromSeconds(6);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (double Failures, long At)> _clients = new(StringComparer.Ordinal);

    /// <summary>How long the client has to wait; null if it may try.</summary>
    public TimeSpan? PenaltyOf(string client)
    {
        lock (_lock)
        {
            double failures = Current(client);
            return failures <= Burst - 1 ? null : Forgiveness * (failures - Burst + 1);
        }
    }

    public void Record(string client)
    {
        lock (_lock)
        {
            double failures = Current(client) + 1;
            if (_clients.Count >= MaxClients && !_clients.ContainsKey(client))
            {
                _clients.Remove(_clients.MinBy(c => c.Value.At).Key);
            }

            _clients[client] = (Math.Min(failures, Burst), time.GetTimestamp());
        }
    }

    /// <summary>One failure is forgiven each <see cref="Forgiveness"/>. The caller holds the lock.</summary>
    private double Current(string client) => _clients.TryGetValue(client, out (double Failures, long At) known)
        ? Math.Max(0, known.Failures - (time.GetElapsedTime(known.At) / Forgiveness))
        : 0;
}
