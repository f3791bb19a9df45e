using System.Diagnostics;
using System.Runtime.InteropServices;
using Starlight.Benchmarks.Wan.Native;

namespace Starlight.Benchmarks.Wan;

/// <summary>
/// One direction of a link: packets of one device come out at the other, each after it has waited for those before it, taken its own time on the wire, and travelled:
/// <code>
/// sent = max(now, sent of the packet before) + length / rate        dropped if more than the queue's limit would wait
/// out  = sent + round trip / 2
/// </code>
/// One thread reads and writes, with real-time priority where that is allowed, so that a busy machine does not make the link longer. No allocation while it runs.
/// </summary>
internal sealed unsafe class LinkDirection : IDisposable
{
    /// <summary>Packets under way at once: 1 Gbit/s over 300 ms is 37 MB. The pages of what is never used are never there.</summary>
    private const long RingBytes = 256L << 20;

    private const int RingPackets = 1 << 18;

    /// <summary>Reads between two looks at what is due.</summary>
    private const int Batch = 16;

    private static readonly TimeSpan s_longestSleep = TimeSpan.FromMilliseconds(50);

    private readonly TunDevice _from;
    private readonly TunDevice _to;
    private readonly Watcher? _entered;
    private readonly Watcher? _left;
    private readonly byte* _ring = (byte*)NativeMemory.Alloc((nuint)RingBytes);
    private readonly Packet[] _packets = new Packet[RingPackets];
    private readonly Random _random = new(1);
    private readonly Thread _thread;
    private volatile LinkShape _shape = LinkShape.Wire;
    private volatile bool _stop;
    private long _first; // packet that is due next
    private long _next; // one after the newest
    private long _end; // offset in the ring behind the newest
    private double _free; // timestamp at which the wire is free again

    /// <param name="name">Of the thread.</param>
    /// <param name="from">Where packets come from.</param>
    /// <param name="to">Where they go.</param>
    /// <param name="entered">Sees each as it comes, with the time; or null.</param>
    /// <param name="left">Sees each as it goes.</param>
    public LinkDirection(string name, TunDevice from, TunDevice to, Watcher? entered, Watcher? left)
    {
        (_from, _to, _entered, _left) = (from, to, entered, left);
        _thread = new Thread(Run) { Name = name, IsBackground = true };
        _thread.Start();
    }

    public delegate void Watcher(ReadOnlySpan<byte> packet, long now);

    public LinkShape Shape
    {
        set => _shape = value;
    }

    /// <summary>Packets that the queue had no room for.</summary>
    public long Dropped { get; private set; }

    /// <summary>Whether the thread goes before all ordinary ones.</summary>
    public bool RealTime { get; private set; }

    public void Dispose()
    {
        _stop = true;
        _thread.Join();
        NativeMemory.Free(_ring);
    }

    private void Run()
    {
        int priority = 10;
        RealTime = TunCalls.sched_setscheduler(0, TunCalls.SCHED_FIFO, &priority) == 0;
        TunCalls.PollDescriptor readable = new() { Descriptor = _from.Descriptor, Events = TunCalls.POLLIN };
        while (!_stop)
        {
            Deliver();
            if (Take() == 0)
            {
                double seconds = _first == _next ? s_longestSleep.TotalSeconds : Math.Min(s_longestSleep.TotalSeconds, (_packets[_first % RingPackets].Due - Stopwatch.GetTimestamp()) / (double)Stopwatch.Frequency);
                if (seconds > 0)
                {
                    TunCalls.TimeSpec timeout = new() { Nanoseconds = (nint)(seconds * 1e9) };
                    _ = TunCalls.ppoll(&readable, 1, &timeout, null);
                }
            }
        }
    }

    private int Take()
    {
        LinkShape shape = _shape;
        double perByte = Stopwatch.Frequency / shape.BytesPerSecond;
        double travel = shape.RoundTrip.TotalSeconds / 2 * Stopwatch.Frequency;
        for (int taken = 0; taken < Batch; taken++)
        {
            if (!FindRoom(out long offset))
            {
                return taken;
            }

            nint length = TunCalls.read(_from.Descriptor, _ring + offset, TunDevice.MaxFrame);
            if (length <= 0)
            {
                return taken;
            }

            long now = Stopwatch.GetTimestamp();
            int bytes = (int)length - TunDevice.HeaderLength;
            ReadOnlySpan<byte> frame = new(_ring + offset + TunDevice.HeaderLength, bytes);
            _entered?.Invoke(frame, now);
            if ((_free - now) / perByte > shape.QueueLimit || (shape.Loss > 0 && _random.NextDouble() < shape.Loss))
            {
                Dropped++;
                continue;
            }

            _free = Math.Max(now, _free) + (bytes * perByte);
            _packets[_next++ % RingPackets] = new Packet((long)(_free + travel), offset, (int)length);
            _end = offset + length;
        }

        return Batch;
    }

    private void Deliver()
    {
        while (_first < _next)
        {
            ref Packet packet = ref _packets[_first % RingPackets];
            long now = Stopwatch.GetTimestamp();
            if (packet.Due > now)
            {
                return;
            }

            _left?.Invoke(new ReadOnlySpan<byte>(_ring + packet.Offset + TunDevice.HeaderLength, packet.Length - TunDevice.HeaderLength), now);
            _ = TunCalls.write(_to.Descriptor, _ring + packet.Offset, packet.Length);
            _first++;
        }
    }

    /// <summary>A place for the longest packet behind the newest one, or at the ring's start; false while that would overwrite the oldest.</summary>
    private bool FindRoom(out long offset)
    {
        offset = _end;
        if (_first == _next)
        {
            offset = 0;
            return true;
        }

        if (_next - _first == RingPackets)
        {
            return false;
        }

        long oldest = _packets[_first % RingPackets].Offset;
        if (offset <= oldest)
        {
            return oldest - offset >= TunDevice.MaxFrame;
        }

        if (RingBytes - offset >= TunDevice.MaxFrame)
        {
            return true;
        }

        offset = 0;
        return oldest >= TunDevice.MaxFrame;
    }

    private readonly record struct Packet(long Due, long Offset, int Length);
}
