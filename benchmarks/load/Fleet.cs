using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Starlight.Domain.Content;

namespace Starlight.Benchmarks.Load;

/// <summary>What one round of pulls came to.</summary>
/// <param name="Errors">What went wrong, one line each.</param>
/// <param name="Seconds">Until the last worker had everything.</param>
/// <param name="Bytes">Of bodies, all workers together.</param>
/// <param name="FirstByte">Milliseconds from opening the connection to the first byte of the answer's body, ascending.</param>
/// <param name="SlowBytes">What the slow readers got meanwhile.</param>
internal sealed record Round(IReadOnlyList<string> Errors, double Seconds, long Bytes, double[] FirstByte, long SlowBytes)
{
    public double MegabytesPerSecond => Bytes / 1e6 / Seconds;
}

/// <summary>
/// Workers that ask one server for one thing at the same moment, each over a connection of its own, and read it to its end. HTTP/1.1 on plain sockets, because what a client library
/// costs would be charged to the servers, with which the workers share the cores.
/// </summary>
internal sealed class Fleet(int workers, int slow)
{
    private const int BufferSize = 256 * 1024;

    /// <summary>A slow reader takes so much so often: 10 KB/s.</summary>
    private const int SlowPiece = 1000;

    private static readonly TimeSpan SlowPause = TimeSpan.FromMilliseconds(100);

    /// <summary>Longer than any round takes; what hangs is an error.</summary>
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(5);

    /// <param name="server">Whom to ask.</param>
    /// <param name="path">Path and query.</param>
    /// <param name="length">Of the body.</param>
    /// <param name="digest">Of the body, to check it; null to check the length alone, which takes nothing from the servers.</param>
    /// <param name="withSlow">Slow readers ask, too, before the others do, and are not counted.</param>
    public async Task<Round> RunAsync(IPEndPoint server, string path, long length, Digest? digest = null, bool withSlow = false)
    {
        byte[] request = Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
        using CancellationTokenSource over = new();
        Task<long>[] slowReaders = [.. Enumerable.Range(0, withSlow ? slow : 0).Select(_ => ReadSlowlyAsync(server, request, over.Token))];
        Pull[] pulls = [.. Enumerable.Range(0, workers).Select(_ => new Pull(length, digest))];
        int threads = Environment.ProcessorCount;
        long started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, threads).Select(thread => Task.Factory.StartNew(
            () => Read([.. pulls.Where((_, i) => i % threads == thread)], server, request), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        await over.CancelAsync();
        long slowBytes = 0;
        List<string> errors = [.. pulls.Select(p => p.Error).OfType<string>()];
        foreach (Task<long> reader in slowReaders)
        {
            try
            {
                slowBytes += await reader;
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                errors.Add("slow reader: " + e.Message);
            }
        }

        return new Round(errors, seconds, length * pulls.Count(p => p.Error is null), [.. pulls.Where(p => p.Error is null).Select(p => p.FirstByte).Order()], slowBytes);
    }

    /// <summary>One thread for many workers, a piece of each in turns: more threads than cores would take from the servers what one worker gains over another.</summary>
    private static void Read(Pull[] pulls, IPEndPoint server, byte[] request)
    {
        byte[] buffer = new byte[BufferSize];
        Dictionary<Socket, Pull> open = [];
        foreach (Pull pull in pulls)
        {
            if (pull.Open(server, request) is { } socket)
            {
                open.Add(socket, pull);
            }
        }

        long deadline = Stopwatch.GetTimestamp() + (long)(Deadline.TotalSeconds * Stopwatch.Frequency);
        while (open.Count > 0)
        {
            List<Socket> ready = [.. open.Keys];
            Socket.Select(ready, null, null, TimeSpan.FromSeconds(1));
            foreach (Socket socket in ready)
            {
                if (!open[socket].Read(socket, buffer))
                {
                    open.Remove(socket);
                    socket.Dispose();
                }
            }

            if (Stopwatch.GetTimestamp() > deadline)
            {
                foreach ((Socket socket, Pull pull) in open)
                {
                    pull.Error = "not done in time";
                    socket.Dispose();
                }

                return;
            }
        }
    }

    private static async Task<long> ReadSlowlyAsync(IPEndPoint server, byte[] request, CancellationToken over)
    {
        using Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        byte[] piece = new byte[SlowPiece];
        long total = 0;
        try
        {
            await socket.ConnectAsync(server, over);
            await socket.SendAsync(request, SocketFlags.None, over);
            while (true)
            {
                int read = await socket.ReceiveAsync(piece, SocketFlags.None, over);
                total += read > 0 ? read : throw new IOException("the connection ended");
                await Task.Delay(SlowPause, over);
            }
        }
        catch (OperationCanceledException)
        {
            return total;
        }
    }

    /// <summary>One worker.</summary>
    private sealed class Pull(long length, Digest? digest)
    {
        private readonly IncrementalHash? _hash = digest is null ? null : IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private readonly List<byte> _head = [];
        private long _started;
        private long _left = -1;

        /// <summary>Milliseconds.</summary>
        public double FirstByte { get; private set; }

        public string? Error { get; set; }

        public Socket? Open(IPEndPoint server, byte[] request)
        {
            Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
            _started = Stopwatch.GetTimestamp();
            try
            {
                socket.Connect(server);
                socket.Send(request);
                return socket;
            }
            catch (SocketException e)
            {
                Error = e.Message;
                socket.Dispose();
                return null;
            }
        }

        /// <returns>False when there is nothing more to come.</returns>
        public bool Read(Socket socket, byte[] buffer)
        {
            int read = socket.Receive(buffer, SocketFlags.None, out SocketError error);
            if (error != SocketError.Success || read == 0)
            {
                Error = error != SocketError.Success ? error.ToString() : "the connection ended early";
                return false;
            }

            ReadOnlySpan<byte> body = buffer.AsSpan(0, read);
            if (_left < 0)
            {
                _head.AddRange(body);
                int end = CollectionsMarshal.AsSpan(_head).IndexOf("\r\n\r\n"u8) + 4;
                if (end < 4 || _head.Count == end)
                {
                    return true;
                }

                FirstByte = Stopwatch.GetElapsedTime(_started).TotalMilliseconds;
                string head = Encoding.Latin1.GetString(CollectionsMarshal.AsSpan(_head)[..end]);
                if (!head.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal) || !head.Contains($"\r\nContent-Length: {length}\r\n", StringComparison.OrdinalIgnoreCase))
                {
                    Error = head.Split("\r\n")[0] + ", or another length";
                    return false;
                }

                _left = length;
                body = CollectionsMarshal.AsSpan(_head)[end..];
            }

            _hash?.AppendData(body);
            _left -= body.Length;
            if (_left > 0)
            {
                return true;
            }

            Error = _left == 0 && (_hash is null || new Digest(_hash.GetHashAndReset()) == digest) ? null : "other bytes";
            _hash?.Dispose();
            return false;
        }
    }
}
