using System.Buffers;
using System.Text;

namespace Starlight.Infrastructure.Bundles;

/// <summary>Writes the fields of a unit: varints (unsigned LEB128) and byte strings with their length in front.</summary>
internal sealed class PayloadWriter(int capacity = 256)
{
    private readonly ArrayBufferWriter<byte> _buffer = new(capacity);

    public ReadOnlySpan<byte> Written => _buffer.WrittenSpan;

    public void VarInt(ulong value)
    {
        Span<byte> target = _buffer.GetSpan(10);
        int length = 0;
        while (value >= 0x80)
        {
            target[length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        target[length++] = (byte)value;
        _buffer.Advance(length);
    }

    public void VarInt(int value) => VarInt((ulong)value);

    /// <summary>Small numbers of either sign stay short: 0, −1, 1, −2 … become 0, 1, 2, 3 ….</summary>
    public void ZigZag(int value) => VarInt((uint)((value << 1) ^ (value >> 31)));

    /// <inheritdoc cref="ZigZag(int)"/>
    public void ZigZag(long value) => VarInt((ulong)((value << 1) ^ (value >> 63)));

    public void Bytes(ReadOnlySpan<byte> bytes)
    {
        VarInt(bytes.Length);
        _buffer.Write(bytes);
    }

    /// <summary>Null is written as the empty string.</summary>
    public void Text(string? text) => Bytes(Encoding.UTF8.GetBytes(text ?? ""));

    public void Raw(ReadOnlySpan<byte> bytes) => _buffer.Write(bytes);
}

/// <summary>Reads what <see cref="PayloadWriter"/> wrote. Anything that does not fit is a <see cref="FormatException"/>, which does not leave this folder.</summary>
internal ref struct PayloadReader(ReadOnlyMemory<byte> payload)
{
    private readonly ReadOnlySpan<byte> _span = payload.Span;
    private int _position;

    public ulong VarInt()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            if (_position == _span.Length)
            {
                throw new FormatException("a unit ends inside a number");
            }

            byte next = _span[_position++];
            if (shift == 63 && next > 1)
            {
                break;
            }

            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw new FormatException("a number has more than 64 bits");
    }

    /// <param name="max">Inclusive; what a caller is about to allocate or index with.</param>
    /// <param name="what">Names the number in the message.</param>
    public int Count(long max, string what)
    {
        ulong value = VarInt();
        return value <= (ulong)max ? (int)value : throw new FormatException($"{what} is {value}, above {max}");
    }

    public int ZigZag()
    {
        ulong value = VarInt();
        return value <= uint.MaxValue ? (int)(uint)(value >> 1) ^ -(int)(value & 1) : throw new FormatException("a difference has more than 32 bits");
    }

    public long LongZigZag()
    {
        ulong value = VarInt();
        return (long)(value >> 1) ^ -(long)(value & 1);
    }

    public ReadOnlyMemory<byte> Raw(int length)
    {
        if (length > _span.Length - _position)
        {
            throw new FormatException("a unit ends inside a field");
        }

        ReadOnlyMemory<byte> bytes = payload.Slice(_position, length);
        _position += length;
        return bytes;
    }

    public ReadOnlyMemory<byte> Bytes() => Raw(Count(_span.Length - _position, "the length of a field"));

    public string Text() => Encoding.UTF8.GetString(Bytes().Span);

    /// <summary>How many fields of at least one byte can still follow: bounds counts before anything is allocated.</summary>
    public readonly int Left => _span.Length - _position;

    public readonly void End()
    {
        if (_position != _span.Length)
        {
            throw new FormatException("a unit goes on after its last field");
        }
    }
}
