using System.Runtime.CompilerServices;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Objects;

/// <summary>
/// An object's path below the store as NUL-terminated bytes on the stack, so that looking at thousands of objects allocates nothing:
/// <code>
/// offset  0  2 hex digits   fan-out directory
///         2  '/'
///         3  62 hex digits  file name
///        65  NUL
/// </code>
/// </summary>
[InlineArray(Length)]
internal struct ObjectPath
{
    /// <summary>64 digits, the slash and the NUL.</summary>
    public const int Length = Digest.HexLength + 2;

    /// <summary>Digits of the fan-out directory's name.</summary>
    public const int FanoutDigits = 2;

    /// <summary>Directories of a store: one per first byte of a digest.</summary>
    public const int FanoutCount = 256;

    /// <summary>Digits of the file's name.</summary>
    public const int NameDigits = Digest.HexLength - FanoutDigits;

    private byte _first;

    public static ObjectPath Of(Digest digest)
    {
        Span<byte> raw = stackalloc byte[Digest.Size];
        digest.CopyTo(raw);
        ObjectPath path = default;
        Span<byte> text = path;
        Convert.TryToHexStringLower(raw[..1], text, out _);
        text[FanoutDigits] = (byte)'/';
        Convert.TryToHexStringLower(raw[1..], text[(FanoutDigits + 1)..], out _);
        return path;
    }

    /// <summary>Reads the file name's 62 digits back, given the directory's byte. False for anything that is not exactly that.</summary>
    public static bool TryParse(byte fanout, ReadOnlySpan<byte> name, out Digest digest)
    {
        digest = default;
        if (name.Length != NameDigits || name.ContainsAnyInRange((byte)'A', (byte)'F'))
        {
            return false;
        }

        Span<byte> raw = stackalloc byte[Digest.Size];
        raw[0] = fanout;
        if (Convert.FromHexString(name, raw[1..], out _, out _) != System.Buffers.OperationStatus.Done)
        {
            return false;
        }

        digest = new Digest(raw);
        return true;
    }

    /// <summary>Reads a fan-out directory's name: exactly two lower-case hex digits.</summary>
    public static bool TryParseFanout(ReadOnlySpan<byte> name, out byte fanout)
    {
        fanout = 0;
        return name.Length == FanoutDigits
            && !name.ContainsAnyInRange((byte)'A', (byte)'F')
            && Convert.FromHexString(name, new Span<byte>(ref fanout), out _, out _) == System.Buffers.OperationStatus.Done;
    }
}
