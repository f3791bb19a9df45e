using System.Buffers;
using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;

namespace Starlight.Presentation.Proxy.Transport;

/// <summary>The half of a listener that takes HTTP/2 connections; it has no port of its own.</summary>
internal sealed class PriorKnowledgeEndPoint : EndPoint
{
    public override string ToString() => "h2c";
}

/// <summary>
/// Lets one plain-text port speak HTTP/1.1 and HTTP/2 with prior knowledge (RFC 9113 section 3.3). Kestrel, without TLS, serves only HTTP/1.1 where both are
/// allowed (dotnet/aspnetcore#56984). So each accepted connection is looked at: those that begin with the HTTP/2 preface are handed to a second Kestrel
/// endpoint that speaks only HTTP/2, all others, which can then send files, to the first. Nothing is consumed.
/// </summary>
internal sealed class Http2PriorKnowledge(IConnectionListenerFactory sockets) : IConnectionListenerFactory
{
    private readonly Channel<ConnectionContext> _http2 = Channel.CreateUnbounded<ConnectionContext>();

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => endpoint is PriorKnowledgeEndPoint
        ? new HandedOver(endpoint, _http2)
        : new Sorting(await sockets.BindAsync(endpoint, cancellationToken), _http2);

    /// <summary>Accepts from the socket and sorts.</summary>
    private sealed class Sorting : IConnectionListener
    {
        /// <summary>A client that opens a connection and says nothing is dropped: what Kestrel gives the head of a request (its RequestHeadersTimeout).</summary>
        private static readonly TimeSpan FirstByteTimeout = TimeSpan.FromSeconds(30);

        /// <summary>RFC 9113 section 3.4; its first line is no HTTP/1.1 request line of a method that anybody uses.</summary>
        private static readonly byte[] Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray();

        private readonly IConnectionListener _inner;
        private readonly Channel<ConnectionContext> _http1 = Channel.CreateUnbounded<ConnectionContext>();
        private readonly ChannelWriter<ConnectionContext> _http2;
        private readonly Task _accepting;

        public Sorting(IConnectionListener inner, ChannelWriter<ConnectionContext> http2)
        {
            (_inner, _http2) = (inner, http2);
            _accepting = AcceptAllAsync();
        }

        public EndPoint EndPoint => _inner.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) => await NextAsync(_http1.Reader, cancellationToken);

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            await _inner.UnbindAsync(cancellationToken);
            await _accepting;
        }

        public ValueTask DisposeAsync() => _inner.DisposeAsync();

        private async Task AcceptAllAsync()
        {
            try
            {
                while (await _inner.AcceptAsync() is { } connection)
                {
                    _ = SortAsync(connection);
                }

                _http1.Writer.TryComplete();
                _http2.TryComplete();
            }
            catch (Exception e)
            {
                // Kestrel logs and stops on it, as it does for its own sockets.
                _http1.Writer.TryComplete(e);
                _http2.TryComplete(e);
            }
        }

        private async Task SortAsync(ConnectionContext connection)
        {
            try
            {
                using CancellationTokenSource timeout = new(FirstByteTimeout);
                bool isHttp2 = await BeginsWithPrefaceAsync(connection, timeout.Token);
                if (!isHttp2)
                {
                    FileSendingOutput.Attach(connection);
                }

                ChannelWriter<ConnectionContext> target = isHttp2 ? _http2 : _http1.Writer;
                if (!target.TryWrite(connection))
                {
                    await connection.DisposeAsync();
                }
            }
            catch (Exception e) when (e is OperationCanceledException or IOException or ConnectionAbortedException or ConnectionResetException)
            {
                connection.Abort();
                await connection.DisposeAsync();
            }
        }

        private static async Task<bool> BeginsWithPrefaceAsync(ConnectionContext connection, CancellationToken cancellationToken)
        {
            while (true)
            {
                System.IO.Pipelines.ReadResult read = await connection.Transport.Input.ReadAsync(cancellationToken);
                ReadOnlySequence<byte> head = read.Buffer.Slice(0, Math.Min(read.Buffer.Length, Preface.Length));
                bool matches = head.ToArray().AsSpan().SequenceEqual(Preface.AsSpan(0, (int)head.Length));
                bool decided = !matches || head.Length == Preface.Length || read.IsCompleted;

                // Examined only if more is needed, so that the next reader gets these bytes at once.
                connection.Transport.Input.AdvanceTo(read.Buffer.Start, decided ? read.Buffer.Start : read.Buffer.End);
                if (decided)
                {
                    return matches && head.Length == Preface.Length;
                }
            }
        }
    }

    /// <summary>Gives out what the sorting listener has set aside.</summary>
    private sealed class HandedOver(EndPoint endpoint, Channel<ConnectionContext> connections) : IConnectionListener
    {
        public EndPoint EndPoint { get; } = endpoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) => await NextAsync(connections.Reader, cancellationToken);

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            connections.Writer.TryComplete();
            return ValueTask.CompletedTask;
        }

        public async ValueTask DisposeAsync()
        {
            while (connections.Reader.TryRead(out ConnectionContext? connection))
            {
                await connection.DisposeAsync();
            }
        }
    }

    /// <summary>Null, which Kestrel takes as the end, once the listener is unbound.</summary>
    private static async ValueTask<ConnectionContext?> NextAsync(ChannelReader<ConnectionContext> connections, CancellationToken cancellationToken) =>
        await connections.WaitToReadAsync(cancellationToken) && connections.TryRead(out ConnectionContext? connection) ? connection : null;
}
