using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using Starlight.Infrastructure.Containerd.Protocol.Content;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.IntegrationTests.Grpc;

public sealed class GrpcFrameTests
{
    private const int Limit = 1000;

    /// <summary>Flag 0, length 5; field 1 (string): tag 0x0A, length 3, "abc".</summary>
    private static readonly byte[] s_golden = [0, 0, 0, 0, 5, 0x0A, 3, (byte)'a', (byte)'b', (byte)'c'];

    [Fact]
    public void Write_GivesTheBytesOfTheSpecification()
    {
        ArrayBufferWriter<byte> output = new();
        GrpcFrame.Write(output, new StatusRequest { Ref = "abc" });
        output.WrittenSpan.ToArray().ShouldBe(s_golden);
    }

    [Fact]
    public async Task Read_WhenCutAnywhere_GivesTheSameMessages()
    {
        byte[] two = [.. s_golden, .. s_golden];
        for (int cut = 0; cut <= two.Length; cut++)
        {
            Pipe pipe = new();
            Task<List<string>> reading = ReadAllAsync(pipe.Reader);
            await pipe.Writer.WriteAsync(two.AsMemory(0, cut));
            await pipe.Writer.WriteAsync(two.AsMemory(cut));
            await pipe.Writer.CompleteAsync();
            (await reading).ShouldBe(["abc", "abc"]);
        }
    }

    [Fact]
    public async Task Read_WhenTruncatedInsideAFrame_Fails()
    {
        for (int length = 1; length < s_golden.Length; length++)
        {
            (await FailureAsync(s_golden[..length])).Code.ShouldBe("Grpc.Truncated");
        }
    }

    [Fact]
    public async Task Read_WhenEmpty_IsTheEnd() => (await ReadAllAsync(Reader([]))).ShouldBeEmpty();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(255)]
    public async Task Read_WhenTheFlagIsNotZero_Fails(byte flag) => (await FailureAsync([flag, .. s_golden[1..]])).Code.ShouldBe("Grpc.BadFlag");

    [Theory]
    [InlineData(Limit + 1)]
    [InlineData(int.MaxValue)]
    [InlineData(uint.MaxValue)]
    public async Task Read_WhenTheLengthIsOverTheLimit_FailsBeforeTheMessageArrives(uint length)
    {
        GrpcWireException failure = await FailureAsync([0, (byte)(length >> 24), (byte)(length >> 16), (byte)(length >> 8), (byte)length]);
        failure.Status.ShouldBe(GrpcStatusCode.ResourceExhausted);
    }

    [Fact]
    public async Task Read_WhenNotProtobuf_Fails() => (await FailureAsync([0, 0, 0, 0, 2, 0x0A, 99])).Code.ShouldBe("Grpc.MalformedMessage");

    [Fact]
    public async Task Read_WhenBytesAreDamaged_GivesMessagesOrATypedFailure()
    {
        Random random = new(20240607);
        byte[] source = [.. s_golden, .. s_golden, .. s_golden];
        int failed = 0;
        for (int round = 0; round < 5000; round++)
        {
            byte[] damaged = source[..random.Next(1, source.Length + 1)];
            for (int flips = random.Next(1, 4); flips > 0; flips--)
            {
                damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            }

            try
            {
                (await ReadAllAsync(Reader(damaged)).WaitAsync(TimeSpan.FromSeconds(10))).Count.ShouldBeLessThanOrEqualTo(source.Length / GrpcFrame.HeaderSize);
            }
            catch (GrpcWireException)
            {
                failed++;
            }
        }

        failed.ShouldBeGreaterThan(1000);
    }

    private static PipeReader Reader(byte[] bytes) => PipeReader.Create(new ReadOnlySequence<byte>(bytes));

    private static async Task<GrpcWireException> FailureAsync(byte[] bytes) => await Should.ThrowAsync<GrpcWireException>(() => ReadAllAsync(Reader(bytes)));

    private static async Task<List<string>> ReadAllAsync(PipeReader reader)
    {
        MessageParser<StatusRequest> parser = StatusRequest.Parser;
        List<string> refs = [];
        while (await GrpcFrame.ReadAsync(reader, parser, Limit, CancellationToken.None) is { } message)
        {
            refs.Add(message.Ref);
        }

        return refs;
    }
}
