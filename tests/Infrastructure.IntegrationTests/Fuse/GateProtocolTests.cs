using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.Extensions.Logging;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Fuse;
using Starlight.Infrastructure.Fuse.Native;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Fuse;

/// <summary>The protocol without a device: request bytes in, reply bytes out.</summary>
public sealed class GateProtocolTests : IDisposable
{
    private static readonly Digest Content = Digest.Of("content"u8);
    private readonly ScratchDirectory _directory = new();
    private readonly ObjectStore _store;
    private readonly ArrivalBoard _board;
    private readonly RecordingPort _port = new();
    private readonly RecordingLogger _logger = new();
    private readonly List<GateLookup> _lookups = [];
    private readonly HashSet<int> _dying = [];
    private readonly GateProtocol _protocol;
    private readonly GateDirectory _container;

    public GateProtocolTests()
    {
        _store = new ObjectStore(_directory["objects"]);
        _board = new ArrivalBoard(_store);
        _protocol = new GateProtocol(_board, _port, _logger, isDying: _dying.Contains);
        _container = new GateDirectory(null!, 5, "c", "/gate/c", _lookups.Add);
        _protocol.TryAdd(_container).ShouldBeTrue();
    }

    public void Dispose()
    {
        _store.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task Init_WhenOffered745_AnswersGoldenBytes()
    {
        byte[] body = new byte[64];
        BinaryPrimitives.WriteUInt32LittleEndian(body, 7);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(4), 45);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(8), 131072);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(12), 0xFFFFFFFF);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(16), 0xFFFFFFFF);

        // len, error, unique | major 7, minor 38, readahead, flags (bits 13, 18 and 30) | background 0, max_write 4096, time_gran 1 | pages 0, flags2 bit 7
        Hex(Handle(Request(FuseOpcode.FUSE_INIT, 2, 0, body))).ShouldBe(
            "50000000" + "00000000" + "0200000000000000"
            + "07000000" + "26000000" + "00000000" + "00200440"
            + "00000000" + "00100000" + "01000000" + "00000000" + "80000000" + "00000000" + new string('0', 48));
        (await _protocol.Initialised).ShouldBe(38u);
    }

    [Theory]
    [InlineData(7u, 30u, -Errno.EPROTO)]
    [InlineData(6u, 99u, -Errno.EPROTO)]
    [InlineData(8u, 0u, 0)] // answered with our major; the kernel asks again
    public void Init_WhenVersionIsForeign_IsNegotiatedOrRefused(uint major, uint minor, int error)
    {
        byte[] body = new byte[64];
        BinaryPrimitives.WriteUInt32LittleEndian(body, major);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(4), minor);
        ErrorOf(Handle(Request(FuseOpcode.FUSE_INIT, 2, 0, body))).ShouldBe(error);
        _protocol.Initialised.IsCompletedSuccessfully.ShouldBeFalse();
    }

    [Fact]
    public void Lookup_OfAContainer_AnswersGoldenBytes() =>
        Hex(Handle(Lookup(3, GateNode.RootId, "c"))).ShouldBe(
            "90000000" + "00000000" + "0300000000000000"
            + "0000000050000000" + "0000000000000000" // nodeid 5 << 36, generation
            + "0000000000000000" + "0000004000000000" // entry_valid 0: the name can go; attr_valid
            + "0000000000000000" // nanoseconds
            + "0000000050000000" + new string('0', 16 * 5) // ino, size, blocks, times
            + "000000000000000000000000" + "6d410000" + "02000000" // nanoseconds, S_IFDIR|0555, nlink
            + "000000000000000000000000" + "00100000" + "00000000"); // uid, gid, rdev, blksize, flags

    [Fact]
    public void Lookup_OfAnAbsentContent_IsParkedUntilItArrives()
    {
        _board.Expect([Content]);
        ulong fanout = FanoutNode();

        Handle(Lookup(10, fanout, Content.Hex[2..])).ShouldBeEmpty();
        _protocol.ParkedCount.ShouldBe(1);
        _port.Invalidated.ShouldBe([(GateNode.DirectoryId(5), Convert.FromHexString(Content.Hex)[0])]);
        _store.Put(Content, "content"u8);
        _board.Arrived(Content);

        Hex(_port.Replies.ShouldHaveSingleItem()).ShouldBe("10000000" + "feffffff" + "0a00000000000000");
        _protocol.ParkedCount.ShouldBe(0);
        _lookups.ShouldHaveSingleItem().Outcome.ShouldBe(GateOutcome.Arrived);
    }

    [Fact]
    public void Lookup_OfAPresentContent_IsNegativeAtOnce()
    {
        _store.Put(Content, "content"u8);
        ErrorOf(Handle(Lookup(10, FanoutNode(), Content.Hex[2..]))).ShouldBe(-Errno.ENOENT);
        _lookups.ShouldBe([new GateLookup(Content, TimeSpan.Zero, GateOutcome.Present)]);
        _port.Invalidated.ShouldBeEmpty();
    }

    [Fact]
    public void Lookup_OfAFanoutDirectoryTwice_GivesTwoIncarnations() => FanoutNode().ShouldNotBe(FanoutNode());

    [Theory]
    [InlineData("nothing")]
    [InlineData("..")]
    [InlineData("AB")]
    [InlineData("a")]
    [InlineData("abc")]
    [InlineData("é")]
    public void Lookup_OfAForeignNameInAContainer_IsNegative(string name) =>
        ErrorOf(Handle(Lookup(10, GateNode.DirectoryId(5), name))).ShouldBe(-Errno.ENOENT);

    [Fact]
    public void Lookup_InTheTail_IsAlwaysEio()
    {
        Handle(Lookup(1, GateNode.RootId, GateProtocol.TailName)).Length.ShouldBe(144);
        ErrorOf(Handle(Lookup(2, GateNode.TailId, "ab"))).ShouldBe(-Errno.EIO);
    }

    [Fact]
    public void Lookup_AfterTheDirectoryWasRemoved_IsNegativeAndDoesNotWait()
    {
        _board.Expect([Content]);
        ulong fanout = FanoutNode();
        _protocol.Remove(_container).ShouldBeTrue();
        _protocol.Remove(_container).ShouldBeFalse();
        ErrorOf(Handle(Lookup(10, fanout, Content.Hex[2..]))).ShouldBe(-Errno.ENOENT);
        ErrorOf(Handle(Lookup(11, GateNode.RootId, "c"))).ShouldBe(-Errno.ENOENT);
    }

    [Fact]
    public void Lookup_AfterClose_FailsInsteadOfWaiting()
    {
        _board.Expect([Content]);
        _protocol.Close();
        Handle(Lookup(10, FanoutNode(), Content.Hex[2..])).ShouldBeEmpty();
        ErrorOf(_port.Replies.ShouldHaveSingleItem()).ShouldBe(-Errno.EIO);
    }

    [Fact]
    public void Interrupt_OfALivingWaiter_KeepsItWaiting_AndOfADyingOneReleasesIt()
    {
        _board.Expect([Content]);
        Handle(Lookup(10, FanoutNode(), Content.Hex[2..], pid: 77));

        Handle(Request(FuseOpcode.FUSE_INTERRUPT, 11, 0, BitConverter.GetBytes(10UL))).ShouldBeEmpty();
        _port.Watches.ShouldBe(1);
        _protocol.SweepInterrupted().ShouldBeTrue();
        _port.Replies.ShouldBeEmpty();

        _dying.Add(77);
        _protocol.SweepInterrupted();
        ErrorOf(_port.Replies.ShouldHaveSingleItem()).ShouldBe(-Errno.EINTR);
        _protocol.SweepInterrupted().ShouldBeFalse();
        _board.WaiterCount.ShouldBe(0);
    }

    [Fact]
    public void Interrupt_OfARequestNotSeenYet_AsksTheKernelToRepeatIt() =>
        ErrorOf(Handle(Request(FuseOpcode.FUSE_INTERRUPT, 11, 0, BitConverter.GetBytes(10UL)))).ShouldBe(-Errno.EAGAIN);

    [Fact]
    public void ResentLookup_IsAnsweredUnderItsUniqueAsReceived()
    {
        _board.Expect([Content]);
        ulong resent = 10 | FuseAbi.UniqueResend;
        Handle(Lookup(resent, FanoutNode(), Content.Hex[2..], pid: 77));
        _dying.Add(77);
        Handle(Request(FuseOpcode.FUSE_INTERRUPT, 11, 0, BitConverter.GetBytes(10UL))).ShouldBeEmpty();
        _protocol.SweepInterrupted();
        BitConverter.ToUInt64(_port.Replies.ShouldHaveSingleItem(), 8).ShouldBe(resent);
    }

    [Theory]
    [InlineData(FuseOpcode.FUSE_GETXATTR, -Errno.ENOSYS)]
    [InlineData(FuseOpcode.FUSE_LISTXATTR, -Errno.ENOSYS)]
    [InlineData((FuseOpcode)52, -Errno.ENOSYS)]
    [InlineData(FuseOpcode.FUSE_OPEN, -Errno.EIO)]
    [InlineData(FuseOpcode.FUSE_ACCESS, 0)]
    [InlineData(FuseOpcode.FUSE_READDIR, 0)]
    [InlineData(FuseOpcode.FUSE_RELEASEDIR, 0)]
    [InlineData(FuseOpcode.FUSE_DESTROY, 0)]
    internal void OtherRequests_AreAnsweredWithTheirHeaderOnly(FuseOpcode opcode, int error)
    {
        byte[] reply = Handle(Request(opcode, 9, GateNode.RootId, new byte[16]));
        reply.Length.ShouldBe(FuseAbi.OutHeaderSize);
        ErrorOf(reply).ShouldBe(error);
    }

    [Fact]
    public void List_OfAContainer_AnswersGoldenBytes() =>
        Hex(Handle(List(3, _container.Number, offset: 255))).ShouldBe(
            "b0000000" + "00000000" + "0300000000000000"
            + "ff11000050000000" + "0000000000000000" // nodeid 5 << 36 | incarnation 1 << 12 | 0x100 + 0xff, generation
            + "0000004000000000" + "0000004000000000" + "0000000000000000" // entry_valid: the name stays; attr_valid
            + "ff11000050000000" + new string('0', 104) + "6d410000" + "02000000" + new string('0', 24) + "00100000" + "00000000" // attr as of a lookup
            + "ff11000050000000" + "0001000000000000" + "02000000" + "04000000" + "6666000000000000"); // ino, off 256, namelen, DT_DIR, "ff"

    [Fact]
    public void List_OfAContainer_GoesOnWhereItStoppedAndEnds()
    {
        const int Entry = FuseAbi.EntryOutSize + FuseAbi.DirentSize;
        List<string> names = [];
        HashSet<ulong> nodes = [];
        byte[] reply;
        while ((reply = Handle(List(3, _container.Number, (ulong)names.Count, size: (7 * Entry) + 1))).Length > FuseAbi.OutHeaderSize)
        {
            reply.Length.ShouldBeLessThanOrEqualTo(FuseAbi.OutHeaderSize + (7 * Entry));
            for (int at = FuseAbi.OutHeaderSize; at < reply.Length; at += Entry)
            {
                names.Add(Encoding.ASCII.GetString(reply, at + FuseAbi.EntryOutSize + 24, 2));
                nodes.Add(BinaryPrimitives.ReadUInt64LittleEndian(reply.AsSpan(at)));
            }
        }

        names.ShouldBe(Enumerable.Range(0, 256).Select(fanout => fanout.ToString("x2", CultureInfo.InvariantCulture)));
        nodes.Count.ShouldBe(256);
        nodes.ShouldAllBe(node => GateNode.Of(node).Kind == GateNodeKind.Fanout && GateNode.Of(node).Directory == _container.Number);
    }

    [Fact]
    public void List_OfAnythingElse_IsEmpty()
    {
        Handle(Request(FuseOpcode.FUSE_READDIRPLUS, 9, GateNode.RootId, new byte[40])).Length.ShouldBe(FuseAbi.OutHeaderSize);
        Handle(Request(FuseOpcode.FUSE_READDIRPLUS, 9, FanoutNode(), new byte[40])).Length.ShouldBe(FuseAbi.OutHeaderSize);
        Handle(List(9, _container.Number, offset: ulong.MaxValue)).Length.ShouldBe(FuseAbi.OutHeaderSize);
        Handle(List(9, _container.Number, offset: 0, size: 100)).Length.ShouldBe(FuseAbi.OutHeaderSize);
        _protocol.Remove(_container);
        Handle(List(9, _container.Number, offset: 0)).Length.ShouldBe(FuseAbi.OutHeaderSize);
    }

    [Theory]
    [InlineData(FuseOpcode.FUSE_FORGET)]
    [InlineData(FuseOpcode.FUSE_BATCH_FORGET)]
    internal void Forgets_AreNotAnswered(FuseOpcode opcode) => Handle(Request(opcode, 9, GateNode.RootId, new byte[16])).ShouldBeEmpty();

    [Fact]
    public void Handle_WhenOurCodeThrows_AnswersEioLogsOnceAndGoesOn()
    {
        _board.Expect([Content]);
        _board.Wanted = _ => throw new InvalidOperationException("a bug");

        ErrorOf(Handle(Lookup(10, FanoutNode(), Content.Hex[2..]))).ShouldBe(-Errno.EIO);
        _logger.Messages.ShouldHaveSingleItem().ShouldContain("FUSE_LOOKUP on node");
        _protocol.ParkedCount.ShouldBe(0);
        _board.WaiterCount.ShouldBe(0);

        _board.Wanted = null;
        Handle(Lookup(11, FanoutNode(), Content.Hex[2..])).ShouldBeEmpty();
        _protocol.ParkedCount.ShouldBe(1);
    }

    [Fact]
    public void Hook_WhenItThrows_DoesNotFailTheOpen()
    {
        _protocol.TryAdd(new GateDirectory(null!, 6, "d", "/gate/d", _ => throw new InvalidOperationException("a bug"))).ShouldBeTrue();
        _store.Put(Content, "content"u8);
        ulong fanout = BitConverter.ToUInt64(Handle(Lookup(4, GateNode.DirectoryId(6), Content.Hex[..2])), 16);
        ErrorOf(Handle(Lookup(10, fanout, Content.Hex[2..]))).ShouldBe(-Errno.ENOENT);
        _logger.Messages.ShouldHaveSingleItem().ShouldContain("hook");
    }

    [Fact]
    public void Handle_OfArbitraryBytes_NeverThrowsAndAnswersAtMostOneWellFormedReply() =>
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), bytes =>
        {
            // Once as it is, once behind a header that is right, so that the body's parsers are reached.
            IsWellFormed(Handle(bytes)).ShouldBeTrue();
            uint opcode = bytes.Length > 0 ? bytes[0] % 60u : 0;
            ulong node = bytes.Length > 1 ? bytes[1] % 4u | (ulong)(bytes[1] % 7) << 36 | (bytes[1] > 128 ? 0x100u : 0) : 0;
            IsWellFormed(Handle(Request((FuseOpcode)opcode, 7, node, bytes))).ShouldBeTrue();
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Fact]
    public void Handle_OfATruncatedRequest_AnswersNothingItCannotAttribute()
    {
        byte[] whole = Lookup(10, FanoutNode(), Content.Hex[2..]);
        for (int length = 0; length < whole.Length; length++)
        {
            Handle(whole.AsSpan(0, length)).ShouldBeEmpty();
        }
    }

    private static bool IsWellFormed(byte[] reply) => reply.Length == 0 || BitConverter.ToInt32(reply, 0) == reply.Length;

    private static int ErrorOf(byte[] reply) => BitConverter.ToInt32(reply, 4);

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);

    private ulong FanoutNode() => BitConverter.ToUInt64(Handle(Lookup(4, GateNode.DirectoryId(5), Content.Hex[..2])), 16);

    private byte[] Handle(ReadOnlySpan<byte> request)
    {
        byte[] reply = new byte[FuseAbi.ReplyBufferSize];
        return reply[.._protocol.Handle(request, reply)];
    }

    private static byte[] Lookup(ulong unique, ulong node, string name, int pid = 1) =>
        Request(FuseOpcode.FUSE_LOOKUP, unique, node, Encoding.UTF8.GetBytes(name + '\0'), pid);

    private static byte[] List(ulong unique, uint directory, ulong offset, uint size = 4096)
    {
        byte[] body = new byte[40];
        BinaryPrimitives.WriteUInt64LittleEndian(body.AsSpan(8), offset);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(16), size);
        return Request(FuseOpcode.FUSE_READDIRPLUS, unique, GateNode.DirectoryId(directory), body);
    }

    private static byte[] Request(FuseOpcode opcode, ulong unique, ulong node, ReadOnlySpan<byte> body, int pid = 1)
    {
        byte[] request = new byte[40 + body.Length];
        BinaryPrimitives.WriteInt32LittleEndian(request, request.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(request.AsSpan(4), (uint)opcode);
        BinaryPrimitives.WriteUInt64LittleEndian(request.AsSpan(8), unique);
        BinaryPrimitives.WriteUInt64LittleEndian(request.AsSpan(16), node);
        BinaryPrimitives.WriteInt32LittleEndian(request.AsSpan(32), pid);
        body.CopyTo(request.AsSpan(40));
        return request;
    }

    private sealed class RecordingPort : IGatePort
    {
        public List<byte[]> Replies { get; } = [];

        public List<(ulong Parent, byte Fanout)> Invalidated { get; } = [];

        public int Watches { get; private set; }

        public void Reply(ReadOnlySpan<byte> reply) => Replies.Add(reply.ToArray());

        public void InvalidateFanout(ulong parent, byte fanout) => Invalidated.Add((parent, fanout));

        public void WatchInterrupts() => Watches++;
    }

    private sealed class RecordingLogger : ILogger
    {
        public List<string> Messages { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                Messages.Add(formatter(state, exception));
            }
        }
    }
}
