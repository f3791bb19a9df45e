using System.Buffers.Binary;
using System.Diagnostics;

namespace Starlight.Benchmarks.Wan;

/// <summary>What a tap has seen of one exchange, in seconds since the client's first packet.</summary>
/// <param name="Connections">New ones.</param>
/// <param name="Request">When the first bytes of a request left the client: one round trip later than 0 on a new connection.</param>
/// <param name="FirstByte">When the first bytes of an answer reached the client.</param>
/// <param name="LastByte">When the last ones did.</param>
/// <param name="Bytes">That reached the client, with whatever was sent twice.</param>
internal sealed record Exchange(int Connections, double Request, double FirstByte, double LastByte, long Bytes);

/// <summary>
/// Watches one TCP service from the link's ends, as a packet capture at the client would: nothing that the client's machine does before or after counts. Used by both directions' threads.
/// </summary>
internal sealed class LinkTap
{
    private const byte Tcp = 6;
    private const byte Syn = 2;

    private readonly Lock _lock = new();
    private int _port;
    private int _connections; // all under _lock
    private long _started;
    private long _request;
    private long _firstByte;
    private long _lastByte;
    private long _bytes;

    /// <summary>Forgets what was seen and watches the service on this port of the server.</summary>
    public void Watch(int port)
    {
        lock (_lock)
        {
            (_port, _connections, _started, _request, _firstByte, _lastByte, _bytes) = (port, 0, 0, 0, 0, 0, 0);
        }
    }

    public Exchange Seen
    {
        get
        {
            lock (_lock)
            {
                return new Exchange(_connections, Since(_request), Since(_firstByte), Since(_lastByte), _bytes);
            }
        }
    }

    /// <summary>A packet has left one end.</summary>
    public void Entered(ReadOnlySpan<byte> packet, long now)
    {
        if (!TryRead(packet, out int destination, to: true, out int payload, out bool syn) || destination != _port)
        {
            return;
        }

        lock (_lock)
        {
            _connections += syn ? 1 : 0;
            if (_started == 0 && (syn || payload > 0))
            {
                _started = now;
            }

            if (_request == 0 && payload > 0)
            {
                _request = now;
            }
        }
    }

    /// <summary>A packet has reached the other end.</summary>
    public void Left(ReadOnlySpan<byte> packet, long now)
    {
        if (!TryRead(packet, out int source, to: false, out int payload, out _) || source != _port || payload == 0)
        {
            return;
        }

        lock (_lock)
        {
            if (_started != 0)
            {
                _firstByte = _firstByte == 0 ? now : _firstByte;
                _lastByte = now;
                _bytes += payload;
            }
        }
    }

    private double Since(long time) => time == 0 ? 0 : (time - _started) / (double)Stopwatch.Frequency;

    /// <summary>IPv4 (RFC 791, section 3.1) and TCP (RFC 9293, section 3.1).</summary>
    private static bool TryRead(ReadOnlySpan<byte> packet, out int port, bool to, out int payload, out bool syn)
    {
        (port, payload, syn) = (0, 0, false);
        int header = packet.Length < 40 || packet[0] >> 4 != 4 || packet[9] != Tcp ? 0 : (packet[0] & 15) * 4;
        if (header == 0)
        {
            return false;
        }

        ReadOnlySpan<byte> segment = packet[header..];
        port = BinaryPrimitives.ReadUInt16BigEndian(segment[(to ? 2 : 0)..]);
        payload = segment.Length - ((segment[12] >> 4) * 4);
        syn = (segment[13] & Syn) != 0;
        return true;
    }
}
