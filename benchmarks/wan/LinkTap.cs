using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;

namespace Starlight.Benchmarks.Wan;

/// <summary>What a tap has seen of one exchange, in seconds since the client's first packet.</summary>
/// <param name="Started">The client's first packet, as a timestamp of Stopwatch; 0 if there was none.</param>
/// <param name="New">Connections made for it.</param>
/// <param name="Connections">Those that carried it.</param>
/// <param name="Request">When the first bytes of a request left the client: one round trip later than 0 on a new connection.</param>
/// <param name="FirstByte">When the first bytes of an answer reached the client.</param>
/// <param name="LastByte">When the last ones did.</param>
/// <param name="Bytes">That reached the client, with whatever was sent twice.</param>
internal sealed record Exchange(long Started, int New, int Connections, double Request, double FirstByte, double LastByte, long Bytes);

/// <summary>
/// Watches one TCP service from the link's ends, as a packet capture at the client would: nothing that the client's machine does before or after counts. Used by both directions' threads.
/// </summary>
internal sealed class LinkTap
{
    private const byte Tcp = 6;
    private const byte Fin = 1;
    private const byte Syn = 2;
    private const byte Rst = 4;

    private readonly Lock _lock = new();
    private readonly Dictionary<int, long> _opened = []; // by the client's port; all under _lock
    private readonly HashSet<int> _left = [];
    private int _server;
    private readonly HashSet<int> _clients = []; // ports that have sent such a request
    private byte[] _head = [];
    private long _started;
    private long _request;
    private long _firstByte;
    private long _lastByte;
    private long _bytes;

    /// <summary>Forgets what was seen and watches the service on this port of the server.</summary>
    /// <param name="port">The server's.</param>
    /// <param name="head">What the requests begin with that are looked for: then only their connections count, from the first of them or, if its connection is new, from that one's beginning. Empty: everything counts.</param>
    public void Watch(int port, string head)
    {
        lock (_lock)
        {
            _opened.Clear();
            _clients.Clear();
            _left.Clear();
            _head = Encoding.ASCII.GetBytes(head);
            (_server, _started, _request, _firstByte, _lastByte, _bytes) = (port, 0, 0, 0, 0, 0);
        }
    }

    public Exchange Seen
    {
        get
        {
            lock (_lock)
            {
                return new Exchange(_started, _head.Length == 0 ? _opened.Count : _clients.Count(_opened.ContainsKey), _clients.Count, Since(_request), Since(_firstByte), Since(_lastByte), _bytes);
            }
        }
    }

    /// <summary>A packet has left the client.</summary>
    public void Asked(ReadOnlySpan<byte> packet, long now)
    {
        if (!TryRead(packet, out int client, out int server, out ReadOnlySpan<byte> payload, out byte flags) || server != _server)
        {
            return;
        }

        lock (_lock)
        {
            if ((flags & Syn) != 0)
            {
                _opened[client] = now;
            }

            // What still comes on a connection that the client has given up is of no use to it.
            if ((flags & (Fin | Rst)) != 0)
            {
                _left.Add(client);
            }

            if (_head.Length == 0 && _started == 0)
            {
                _started = now;
            }

            if (payload.Length > 0 && payload.StartsWith(_head))
            {
                _clients.Add(client);
                if (_request == 0)
                {
                    _request = now;
                    _started = _head.Length == 0 ? _started : _opened.GetValueOrDefault(client, now);
                }
            }
        }
    }

    /// <summary>A packet has reached the client.</summary>
    public void Answered(ReadOnlySpan<byte> packet, long now)
    {
        if (!TryRead(packet, out int server, out int client, out ReadOnlySpan<byte> payload, out _) || server != _server || payload.Length == 0)
        {
            return;
        }

        lock (_lock)
        {
            if (_request != 0 && (_head.Length == 0 || _clients.Contains(client)) && !_left.Contains(client))
            {
                _firstByte = _firstByte == 0 ? now : _firstByte;
                _lastByte = now;
                _bytes += payload.Length;
            }
        }
    }

    private double Since(long time) => time == 0 ? 0 : (time - _started) / (double)Stopwatch.Frequency;

    /// <summary>IPv4 (RFC 791, section 3.1) and TCP (RFC 9293, section 3.1).</summary>
    private static bool TryRead(ReadOnlySpan<byte> packet, out int source, out int destination, out ReadOnlySpan<byte> payload, out byte flags)
    {
        (source, destination, flags) = (0, 0, 0);
        payload = default;
        int header = packet.Length < 40 || packet[0] >> 4 != 4 || packet[9] != Tcp ? 0 : (packet[0] & 15) * 4;
        if (header == 0)
        {
            return false;
        }

        ReadOnlySpan<byte> segment = packet[header..];
        source = BinaryPrimitives.ReadUInt16BigEndian(segment);
        destination = BinaryPrimitives.ReadUInt16BigEndian(segment[2..]);
        payload = segment[((segment[12] >> 4) * 4)..];
        flags = segment[13];
        return true;
    }
}
