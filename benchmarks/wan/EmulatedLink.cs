namespace Starlight.Benchmarks.Wan;

/// <summary>
/// A long line between this process's network namespace (the server's side) and another one of its own (the worker's side), since not every kernel has netem: two TUN devices, and this process
/// between them. Nothing outside the two namespaces is touched, and nothing is left of them when the process ends, however it ends.
/// </summary>
internal sealed class EmulatedLink : IDisposable
{
    public const string ServerAddress = "10.254.0.1";
    public const string WorkerAddress = "10.254.0.2";

    private readonly TunDevice _server;
    private readonly TunDevice _worker;
    private readonly LinkDirection _down;
    private readonly LinkDirection _up;

    public EmulatedLink()
    {
        _server = new TunDevice("wan0", ServerAddress, WorkerAddress);
        _worker = Worker.Run(() => new TunDevice("wan0", WorkerAddress, ServerAddress));
        _down = new LinkDirection("down", _server, _worker, entered: null, Tap.Answered);
        _up = new LinkDirection("up", _worker, _server, Tap.Asked, left: null);
    }

    public NetworkNamespace Worker { get; } = NetworkNamespace.Create();

    public LinkTap Tap { get; } = new();

    /// <summary>Packets dropped by full queues or lost on purpose.</summary>
    public long Dropped => _down.Dropped + _up.Dropped;

    public bool RealTime => _down.RealTime && _up.RealTime;

    /// <summary>Counts for packets that come from now on.</summary>
    public LinkShape Shape
    {
        set
        {
            bool whole = value.MegabitsPerSecond is null;
            _server.Offload = whole;
            _worker.Offload = whole;
            _down.Shape = value;
            _up.Shape = value;
        }
    }

    public void Dispose()
    {
        _down.Dispose();
        _up.Dispose();
        _server.Dispose();
        _worker.Dispose();
        Worker.Dispose();
    }
}
