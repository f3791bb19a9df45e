namespace Starlight.Benchmarks.Wan;

/// <summary>What a link does to packets, the same in both directions.</summary>
/// <param name="RoundTrip">Twice the time that a packet is under way, but for queueing and its own length.</param>
/// <param name="MegabitsPerSecond">Null: as fast as it goes.</param>
/// <param name="Loss">Probability that a packet is lost, 0 to 1.</param>
internal sealed record LinkShape(TimeSpan RoundTrip, double? MegabitsPerSecond = null, double Loss = 0)
{
    /// <summary>No delay, no limit.</summary>
    public static readonly LinkShape Wire = new(TimeSpan.Zero);

    private const int ShortestQueue = 128 << 10;

    public double BytesPerSecond => (MegabitsPerSecond ?? double.PositiveInfinity) * 1e6 / 8;

    /// <summary>Bytes that may wait for their turn: what the link holds in one round trip, the rule of thumb for routers. What comes on top is dropped.</summary>
    public double QueueLimit => Math.Max(ShortestQueue, BytesPerSecond * RoundTrip.TotalSeconds);

    /// <summary>The least time in which a request gets an answer of so many bytes: one round trip, and each packet's own length with its headers.</summary>
    public double Bound(long bytes) => RoundTrip.TotalSeconds + (bytes * (TunDevice.Mtu / (TunDevice.Mtu - 52.0)) / BytesPerSecond);

    public override string ToString() => $"{RoundTrip.TotalMilliseconds:0.#} ms, {(MegabitsPerSecond is { } rate ? $"{rate:0.#} Mbit/s" : "unlimited")}{(Loss > 0 ? $", {Loss:P1} lost" : "")}";
}
