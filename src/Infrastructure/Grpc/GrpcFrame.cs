using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using Google.Protobuf;

namespace Starlight.Infrastructure.Grpc;

/// <summary>
/// Length-prefixed messages (gRPC core, doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message"):
/// <code>
///  0        1                                   5
///  +--------+-----------------------------------+----------------------+
///  | flag 0 | length, unsigned 32 bit big-endian| message (protobuf)   |
///  +--------+-----------------------------------+----------------------+
/// </code>
/// Flag 1 means compressed; no compression is ever negotiated here, so it is refused. Frames may be cut anywhere by HTTP/2 DATA frames, and one of those may hold several.
/// </summary>
internal static class GrpcFrame
{
    public const int HeaderSize = 5;

    /// <summary>Appends one frame. The caller flushes.</summary>
    public static void Write(IBufferWriter<byte> output, IMessage message)
    {
        int size = message.CalculateSize();
        Span<byte> header = output.GetSpan(HeaderSize);
        header[0] = 0;
        BinaryPrimitives.WriteInt32BigEndian(header[1..], size);
        output.Advance(HeaderSize);
        message.WriteTo(output);
    }

    /// <summary>
    /// The next message, or null at the end of the stream. Buffers one message at most, and none whose announced length is over <paramref name="maxSize"/>.
    /// </summary>
    /// <exception cref="GrpcWireException">The stream ends inside a frame, the flag is not 0, the message is too long or not protobuf.</exception>
    public static async ValueTask<T?> ReadAsync<T>(PipeReader input, MessageParser<T> parser, int maxSize, CancellationToken cancellationToken)
        where T : class, IMessage<T>
    {
        while (true)
        {
            ReadResult read = await input.ReadAsync(cancellationToken);
            ReadOnlySequence<byte> buffer = read.Buffer;
            if (read.IsCanceled)
            {
                throw new OperationCanceledException("the call was aborted while a message was being read");
            }

            if (TryReadPayload(buffer, maxSize, out ReadOnlySequence<byte> payload))
            {
                T message = Parse(parser, payload);
                input.AdvanceTo(payload.End);
                return message;
            }

            if (read.IsCompleted)
            {
                return buffer.IsEmpty
                    ? null
                    : throw new GrpcWireException(GrpcStatusCode.Internal, "Grpc.Truncated", $"the stream ended inside a message ({buffer.Length} bytes of the frame arrived)");
            }

            input.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    private static bool TryReadPayload(ReadOnlySequence<byte> buffer, int maxSize, out ReadOnlySequence<byte> payload)
    {
        payload = default;
        if (buffer.Length < HeaderSize)
        {
            return false;
        }

        Span<byte> header = stackalloc byte[HeaderSize];
        buffer.Slice(0, HeaderSize).CopyTo(header);
        if (header[0] != 0)
        {
            throw new GrpcWireException(
                GrpcStatusCode.Internal,
                "Grpc.BadFlag",
                header[0] == 1 ? "a message is marked compressed although no compression was agreed on" : $"a message begins with the unknown flag {header[0]}");
        }

        uint length = BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
        if (length > (uint)maxSize)
        {
            throw new GrpcWireException(GrpcStatusCode.ResourceExhausted, "Grpc.MessageTooLarge", $"a message of {length} bytes is over the limit of {maxSize} bytes");
        }

        if (buffer.Length < HeaderSize + length)
        {
            return false;
        }

        payload = buffer.Slice(HeaderSize, length);
        return true;
    }

    private static T Parse<T>(MessageParser<T> parser, ReadOnlySequence<byte> payload)
        where T : class, IMessage<T>
    {
        try
        {
            return parser.ParseFrom(payload);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new GrpcWireException(GrpcStatusCode.Internal, "Grpc.MalformedMessage", $"a message is not a {typeof(T).Name}: {e.Message}", e);
        }
    }
}
