using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
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

    private readonly byte[][] _buffers = [.. Enumerable.Range(0, workers).Select(_ => GC.AllocateUninitializedArray<byte>(BufferSize, pinned: true))];

    /// <param name="server">Whom to ask.</param>
    /// <param name="path">Path and query.</param>
    /// <param name="length">Of the body.</param>
    /// <param name="digest">Of the body, to check it; null to check the length alone, which takes nothing from the servers.</param>
    /// <param name="withSlow">Slow readers ask, too, before the others do, and are not counted.</param>
    public async Task<Round> RunAsync(IPEndPoint server, string path, long length, Digest? digest = null, bool withSlow = false)
    {
        byte[] request = Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
        using CancellationTokenSource over = new();
        using CancellationTokenSource deadline = new(Deadline);
        Task<long>[] slowReaders = [.. Enumerable.Range(0, withSlow ? slow : 0).Select(_ => ReadSlowlyAsync(server, request, over.Token))];
        long started = Stopwatch.GetTimestamp();
        Task<(double FirstByte, string? Error)>[] pulls = [.. _buffers.Select(buffer => Task.Run(() => PullAsync(server, request, length, digest, buffer, deadline.Token)))];
        (double FirstByte, string? Error)[] results = await Task.WhenAll(pulls);
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        await over.CancelAsync();
        long slowBytes = 0;
        List<string> errors = [.. results.Select(r => r.Error).OfType<string>()];
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

        return new Round(errors, seconds, length * (workers - errors.Count), [.. results.Where(r => r.Error is null).Select(r => r.FirstByte).Order()], slowBytes);
    }

    private static async Task<(double FirstByte, string? Error)> PullAsync(IPEndPoint server, byte[] request, long length, Digest? digest, byte[] buffer, CancellationToken cancellationToken)
    {
        try
        {
            using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
            using IncrementalHash? hash = digest is null ? null : IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            long started = Stopwatch.GetTimestamp();
            await socket.ConnectAsync(server, cancellationToken);
            await socket.SendAsync(request, SocketFlags.None, cancellationToken);
            int filled = 0;
            int bodyAt;
            do
            {
                int read = await socket.ReceiveAsync(buffer.AsMemory(filled), SocketFlags.None, cancellationToken);
                if (read == 0)
                {
                    return (0, $"the connection ended after {filled} bytes of the answer's head");
                }

                filled += read;
                bodyAt = buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8) + 4;
            }
            while (bodyAt < 4 || filled == bodyAt);

            double firstByte = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            string head = Encoding.Latin1.GetString(buffer, 0, bodyAt);
            if (!head.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal) || !head.Contains($"\r\nContent-Length: {length}\r\n", StringComparison.OrdinalIgnoreCase))
            {
                return (0, head.Split("\r\n")[0] + ", or another length");
            }

            hash?.AppendData(buffer.AsSpan(bodyAt, filled - bodyAt));
            for (long left = length - (filled - bodyAt); left > 0;)
            {
                int read = await socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
                if (read == 0)
                {
                    return (0, $"{left} bytes are missing");
                }

                hash?.AppendData(buffer.AsSpan(0, read));
                left -= read;
            }

            return hash is null || new Digest(hash.GetHashAndReset()) == digest ? (firstByte, null) : (0, "other bytes");
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
        {
            return (0, e.Message);
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
}
