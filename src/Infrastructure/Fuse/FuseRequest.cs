using System.Runtime.InteropServices;
using Starlight.Infrastructure.Fuse.Native;

namespace Starlight.Infrastructure.Fuse;

/// <summary>
/// One request as read from /dev/fuse; a view of the caller's buffer. Kernel documentation: linux/fuse.h, fuse_in_header:
/// <code>
///  0  u32 len      whole request       24  u32 uid
///  4  u32 opcode                       28  u32 gid
///  8  u64 unique   answer under this   32  u32 pid   calling *thread*, in the mounter's pid namespace; 0 if not visible there
/// 16  u64 nodeid                       36  u16 total_extlen, u16 padding
/// 40  body; a name is NUL-terminated
/// </code>
/// </summary>
internal readonly ref struct FuseRequest
{
    private FuseRequest(ReadOnlySpan<byte> bytes)
    {
        Opcode = (FuseOpcode)MemoryMarshal.Read<uint>(bytes[4..]);
        Unique = MemoryMarshal.Read<ulong>(bytes[8..]);
        NodeId = MemoryMarshal.Read<ulong>(bytes[16..]);
        Pid = MemoryMarshal.Read<int>(bytes[32..]);
        Body = bytes[FuseAbi.InHeaderSize..];
    }

    public FuseOpcode Opcode { get; }

    public ulong Unique { get; }

    public ulong NodeId { get; }

    public int Pid { get; }

    public ReadOnlySpan<byte> Body { get; }

    /// <summary>The name at the start of the body, without its NUL. Throws <see cref="FuseFormatException"/> if it has none.</summary>
    public ReadOnlySpan<byte> Name
    {
        get
        {
            int end = Body.IndexOf((byte)0);
            return end > 0 ? Body[..end] : throw new FuseFormatException($"{Opcode} without a name");
        }
    }

    /// <exception cref="FuseFormatException">The bytes are shorter than a header, or not as long as the header says.</exception>
    public static FuseRequest Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < FuseAbi.InHeaderSize)
        {
            throw new FuseFormatException($"a request of {bytes.Length} bytes is shorter than its header");
        }

        uint length = MemoryMarshal.Read<uint>(bytes);
        return length == (uint)bytes.Length
            ? new FuseRequest(bytes)
            : throw new FuseFormatException($"a request of {bytes.Length} bytes says that it has {length}");
    }

    /// <summary>An integer of the body in host order. Throws <see cref="FuseFormatException"/> if the body ends before it.</summary>
    public uint UInt32At(int offset) => offset + sizeof(uint) <= Body.Length
        ? MemoryMarshal.Read<uint>(Body[offset..])
        : throw new FuseFormatException($"{Opcode} ends before offset {offset}");

    /// <inheritdoc cref="UInt32At"/>
    public ulong UInt64At(int offset) => offset + sizeof(ulong) <= Body.Length
        ? MemoryMarshal.Read<ulong>(Body[offset..])
        : throw new FuseFormatException($"{Opcode} ends before offset {offset}");
}

/// <summary>The kernel sent something that is not FUSE 7.x. Never leaves this folder.</summary>
internal sealed class FuseFormatException(string message) : Exception(message);
