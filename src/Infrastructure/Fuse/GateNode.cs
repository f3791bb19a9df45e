namespace Starlight.Infrastructure.Fuse;

/// <summary>What a node of the gate is.</summary>
internal enum GateNodeKind
{
    Root,

    /// <summary>The sub-directory of one container mount.</summary>
    Directory,

    /// <summary><c>ab</c> in it: looks as if it held every object whose digest begins so.</summary>
    Fanout,

    /// <summary>The directory in which every lookup fails with EIO (ADR 0005).</summary>
    Tail,

    Unknown,
}

/// <summary>
/// A node id says by itself what it stands for, so no table of nodes is kept and FORGET has nothing to do:
/// <code>
/// bits 63..36  directory number, from 1, never used again
///      35..12  incarnation of a fan-out directory (see GateProtocol.Lookup)
///      11..0   0x100 + the fan-out byte; 0 for the directory itself
/// </code>
/// Directory number 0 is the gate's own: id 1 is the root (FUSE_ROOT_ID), id 2 the tail.
/// </summary>
internal readonly record struct GateNode(GateNodeKind Kind, uint Directory, byte Fanout)
{
    public const ulong RootId = 1;
    public const ulong TailId = 2;

    private const int DirectoryShift = 36;
    private const int IncarnationShift = 12;
    private const uint IncarnationMask = (1u << (DirectoryShift - IncarnationShift)) - 1;
    private const ulong FanoutMark = 0x100;
    private const ulong KindMask = (1UL << IncarnationShift) - 1;

    /// <summary>28 bits; enough for one container mount per second for eight years.</summary>
    public const uint MaxDirectory = (1u << 28) - 1;

    public static ulong DirectoryId(uint directory) => (ulong)directory << DirectoryShift;

    public static ulong FanoutId(uint directory, uint incarnation, byte fanout) =>
        DirectoryId(directory) | (ulong)(incarnation & IncarnationMask) << IncarnationShift | FanoutMark | fanout;

    public static GateNode Of(ulong nodeId)
    {
        uint directory = (uint)(nodeId >> DirectoryShift);
        ulong kind = nodeId & KindMask;
        return (directory, kind) switch
        {
            (0, RootId) => new GateNode(GateNodeKind.Root, 0, 0),
            (0, TailId) => new GateNode(GateNodeKind.Tail, 0, 0),
            ( > 0, 0) => new GateNode(GateNodeKind.Directory, directory, 0),
            ( > 0, >= FanoutMark and <= FanoutMark + byte.MaxValue) => new GateNode(GateNodeKind.Fanout, directory, (byte)kind),
            _ => new GateNode(GateNodeKind.Unknown, 0, 0),
        };
    }
}
