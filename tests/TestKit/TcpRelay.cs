using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Starlight.TestKit;

/// <summary>What a relay does to the bytes that go down to the client. Counted from the moment the rule is set.</summary>
public sealed record RelayRule
{
    /// <summary>Lets everything through.</summary>
    public static readonly RelayRule None = new();

    /// <summary>After so many bytes over all connections nothing more goes through until there is another rule.</summary>
    public long HoldAfter { get; init; } = long.MaxValue;

    /// <summary>After so many bytes over all connections every connection is reset, new ones at once.</summary>
    public long CutAfter { get; init; } = long.MaxValue;

    /// <summary>Counts for connections whose last request line has this in it; the others let everything through and are not counted. Null: for all.</summary>
    public string? Only { get; init; }

    /// <summary>0: as fast as it goes.</summary>
    public int BytesPerSecond { get; init; }

    /// <summary>Gets number of the connection that carries data (from 0) and offset in it; true to flip the lowest bit of that byte.</summary>
    public Func<int, long, bool>? Flip { get; init; }
}

/// <summary>A network between client and server that can be slow, stop, break and lie, all under the test's control. Notes what was asked for.</summary>
public sealed class TcpRelay : IAsyncDisposable
{
    /// <summary>Steps per second of a limited rate.</summary>
    private const int Steps = 20;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly List<Task> _connections = [];
    private readonly List<string> _requests = [];
    private readonly Task _accepting;
    private TaskCompletionSource _ruleChanged = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private RelayRule _rule = RelayRule.None;
    private long _delivered;
    private int _carrying;
    private int _cuts;
    private int _accepted;

    public TcpRelay()
    {
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>Connections made since the beginning.</summary>
    public int Connections => Volatile.Read(ref _accepted);

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Port on the loopback that connections go on to.</summary>
    public int TargetPort { get; set; }

    /// <summary>Bytes that have reached the client since the rule was set.</summary>
    public long Delivered => Interlocked.Read(ref _delivered);

    /// <summary>Connections reset since the rule was set.</summary>
    public int Cuts => Volatile.Read(ref _cuts);

    /// <summary>The request lines of HTTP/1.1 that went up, oldest first.</summary>
    public IReadOnlyList<string> Requests
    {
        get
        {
            lock (_lock)
            {
                return [.. _requests];
            }
        }
    }

    public RelayRule Rule
    {
        get => Volatile.Read(ref _rule);
        set
        {
            TaskCompletionSource changed;
            lock (_lock)
            {
                _rule = value;
                _delivered = 0;
                _carrying = 0;
                _cuts = 0;
                changed = _ruleChanged;
                _ruleChanged = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            changed.SetResult();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        await Task.WhenAll(_connections);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _connections.Add(ServeAsync(await _listener.AcceptSocketAsync(_stop.Token)));
                Interlocked.Increment(ref _accepted);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // stopped
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using Socket down = client;
        using Socket up = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        try
        {
            down.NoDelay = up.NoDelay = true;
            await up.ConnectAsync(IPAddress.Loopback, TargetPort, ended.Token);
            Asked asked = new();
            Task[] pumps = [PumpUpAsync(down, up, asked, ended.Token), PumpDownAsync(up, down, asked, ended.Token)];
            await await Task.WhenAny(pumps);
            await ended.CancelAsync();
            await Task.WhenAll(pumps);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
            // either side went away, or the rule cut it: both sides see a reset
        }

        down.LingerState = new LingerOption(true, 0);
    }

    private async Task PumpUpAsync(Socket from, Socket to, Asked asked, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[16 << 10];
        while (await from.ReceiveAsync(buffer, cancellationToken) is > 0 and int count)
        {
            string head = Encoding.Latin1.GetString(buffer, 0, count);
            if (head.IndexOf(" HTTP/1.1\r\n", StringComparison.Ordinal) is > 0 and int end)
            {
                lock (_lock)
                {
                    asked.Line = head[..end];
                    _requests.Add(asked.Line);
                }
            }

            await to.SendAsync(buffer.AsMemory(0, count), cancellationToken);
        }
    }

    private async Task PumpDownAsync(Socket from, Socket to, Asked asked, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[16 << 10];
        RelayRule? current = null;
        int number = 0;
        long offset = 0;
        while (await from.ReceiveAsync(buffer, cancellationToken) is > 0 and int count)
        {
            if (Rule.Only is { } only && !asked.Line.Contains(only, StringComparison.Ordinal))
            {
                await to.SendAsync(buffer.AsMemory(0, count), cancellationToken);
                continue;
            }

            for (int sent = 0; sent < count;)
            {
                int take;
                RelayRule rule;
                Task changed;
                lock (_lock)
                {
                    rule = _rule;
                    changed = _ruleChanged.Task;
                    if (rule != current)
                    {
                        current = rule;
                        offset = 0;
                        number = _carrying++;
                    }

                    if (_delivered >= rule.CutAfter)
                    {
                        _cuts++;
                        return;
                    }

                    take = (int)Math.Min(count - sent, Math.Min(rule.HoldAfter, rule.CutAfter) - _delivered);
                    take = rule.BytesPerSecond > 0 ? Math.Min(take, Math.Max(1, rule.BytesPerSecond / Steps)) : take;
                    _delivered += take;
                }

                if (take == 0)
                {
                    await changed.WaitAsync(cancellationToken);
                    continue;
                }

                for (int i = 0; i < take && rule.Flip is not null; i++)
                {
                    buffer[sent + i] ^= rule.Flip(number, offset + i) ? (byte)1 : (byte)0;
                }

                await to.SendAsync(buffer.AsMemory(sent, take), cancellationToken);
                sent += take;
                offset += take;
                if (rule.BytesPerSecond > 0)
                {
                    await Task.WhenAny(changed, Task.Delay(TimeSpan.FromSeconds((double)take / rule.BytesPerSecond), cancellationToken));
                }
            }
        }
    }

    /// <summary>The last request line that a connection has carried; pumps of both directions know it.</summary>
    private sealed class Asked
    {
        public volatile string Line = "";
    }
}
