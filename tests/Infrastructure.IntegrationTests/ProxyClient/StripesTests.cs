using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.ProxyClient;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.ProxyClient;

/// <summary>
/// Bundles over four connections: 256 KiB at a time at first, at 256, 512 and 768 KiB; then twice 1.5 MiB, at 1 and 2.5 MiB; then the rest, at 4 MiB. What goes wrong with a part must neither fail the
/// pull nor show in what arrives.
/// </summary>
public sealed class StripesTests
{
    private const int KiB = 1 << 10;
    private const int Rest = 4096 * KiB;

    /// <summary>Every fault at the first part, at the last of the first ones and at one of the second ones.</summary>
    public static TheoryData<string, int> Faults
    {
        get
        {
            TheoryData<string, int> data = [];
            foreach (string fault in new[] { "refused", "other tag", "weak tag", "whole", "other range", "short", "cut" })
            {
                data.Add(fault, 256 * KiB);
                data.Add(fault, 768 * KiB);
                data.Add(fault, 2560 * KiB);
            }

            return data;
        }
    }

    [Theory]
    [InlineData(10 * KiB)]
    [InlineData(1400 * KiB)]
    public async Task Bundle_OverFourConnections_ArrivesInOrder(int headerLength)
    {
        await using OneBundle proxy = await OneBundle.StartAsync(headerLength, contents: 24);
        proxy.PartsFirst = 3;

        int reconnections = await ReceiveAsync(proxy);

        reconnections.ShouldBe(0);
        proxy.Answers.Select(a => a.From).Order().ShouldBe([null, 256 * KiB, 512 * KiB, 768 * KiB, 1024 * KiB, 2560 * KiB, Rest]);
    }

    [Theory]
    [InlineData(20 * KiB)]
    [InlineData(600 * KiB)]
    public async Task Bundle_ShorterThanItsParts_ArrivesAtOnce(int headerLength)
    {
        await using OneBundle proxy = await OneBundle.StartAsync(headerLength, contents: 1);

        (await ReceiveAsync(proxy)).ShouldBe(0);

        proxy.Answers.ShouldAllBe(a => !a.IsResumption);
    }

    /// <summary>Whose header spans several parts, so that some of these happen before there is anything to reconnect.</summary>
    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Part_ThatIsNotThat_IsAskedForAgainWithinThePull(string fault, int at)
    {
        await using OneBundle proxy = await OneBundle.StartAsync(700 * KiB, contents: 24);
        proxy.PartsFirst = 3;
        proxy.Fault = answer =>
        {
            if (answer.From == at && !answer.IsResumption)
            {
                Spoil(answer, fault);
            }

            return Task.CompletedTask;
        };

        (await ReceiveAsync(proxy)).ShouldBe(0);

        proxy.Answers.Count(a => a.IsResumption).ShouldBe(at == 256 * KiB && fault != "cut" && fault != "short" ? 0 : 1, "the first answer goes on over a part that has not begun");
    }

    [Fact]
    public async Task Parts_NoneOfWhichAreGiven_ComeFromTheFirstAnswer()
    {
        await using OneBundle proxy = await OneBundle.StartAsync(700 * KiB, contents: 24);
        proxy.Fault = answer =>
        {
            answer.CutAfter = answer.From is null ? null : 0;
            return Task.CompletedTask;
        };

        (await ReceiveAsync(proxy)).ShouldBe(0);

        proxy.Answers.ShouldAllBe(a => !a.IsResumption);
    }

    /// <summary>They are not waited for: the first answer brings their bytes as well.</summary>
    [Fact]
    public async Task Parts_ThatAreLate_ComeFromTheFirstAnswer()
    {
        await using OneBundle proxy = await OneBundle.StartAsync(700 * KiB, contents: 24);
        TaskCompletionSource arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
        proxy.Fault = answer => answer.From is null ? Task.CompletedTask : arrived.Task;

        (await ReceiveAsync(proxy)).ShouldBe(0);
        arrived.SetResult();

        proxy.Answers.ShouldAllBe(a => !a.IsResumption);
    }

    /// <summary>What cannot be mended in place is mended like a bundle on one connection: from the byte where it stopped.</summary>
    [Theory]
    [InlineData("damaged", 768 * KiB)]
    [InlineData("damaged", 2560 * KiB)]
    [InlineData("damaged", Rest)]
    [InlineData("cut", Rest)]
    public async Task Stream_ThatBreaksInAPart_GoesOnThere(string fault, int at)
    {
        await using OneBundle proxy = await OneBundle.StartAsync(10 * KiB, contents: 24);
        proxy.PartsFirst = 3;
        proxy.Fault = answer =>
        {
            if (answer.From == at && !answer.IsResumption)
            {
                Spoil(answer, fault);
            }

            return Task.CompletedTask;
        };

        (await ReceiveAsync(proxy)).ShouldBe(1);

        RangeAnswer again = proxy.Answers.Single(a => a.IsResumption);
        again.From!.Value.ShouldBeInRange(at - (1024 * KiB), at + (1024 * KiB), "at a block's beginning");
    }

    /// <summary>A proxy, or something before it, that gives no ranges.</summary>
    [Fact]
    public async Task Parts_WhenEveryAnswerIsTheWhole_ComeFromTheFirst()
    {
        await using OneBundle proxy = await OneBundle.StartAsync(10 * KiB, contents: 24);
        proxy.Fault = answer =>
        {
            Spoil(answer, "whole");
            return Task.CompletedTask;
        };

        (await ReceiveAsync(proxy)).ShouldBe(0);

        proxy.Answers.Count.ShouldBe(4, "nobody asks again");
    }

    [Fact]
    public async Task Pull_OverAShortLine_AsksOnce()
    {
        await using OneBundle proxy = await OneBundle.StartAsync(10 * KiB, contents: 24);

        (await ReceiveAsync(proxy, shortest: null)).ShouldBe(0);

        proxy.Answers.ShouldHaveSingleItem();
    }

    /// <summary>Wrong passwords are counted, and a name that is not there is asked for again and again.</summary>
    [Fact]
    public async Task Pull_AfterARefusedOne_AsksOnceUntilOneSucceeds()
    {
        await using OneBundle proxy = await OneBundle.StartAsync(10 * KiB, contents: 2);
        using StarlightProxyClient client = new(new ErofsFilesystemImages()) { Stripes = 4, ShortestStriped = TimeSpan.Zero };
        proxy.Fault = answer =>
        {
            answer.Status = 403;
            return Task.CompletedTask;
        };
        for (int i = 0; i < 3; i++)
        {
            await Should.ThrowAsync<FailureException>(() => RequestAsync(client, proxy));
        }

        await Probe.UntilAsync(() => proxy.Answers.Count == 6, "4 and twice 1");
        proxy.Fault = static _ => Task.CompletedTask;
        await using (IncomingBundle refused = await RequestAsync(client, proxy))
        {
            proxy.Answers.Count.ShouldBe(7);
        }

        client.LineTo(proxy.Profile).IsRefused.ShouldBeFalse();
    }

    private static void Spoil(RangeAnswer answer, string fault)
    {
        switch (fault)
        {
            case "refused":
                answer.Status = 503;
                break;
            case "other tag":
                answer.ETag = "\"two\"";
                break;
            case "weak tag":
                answer.ETag = "W/" + OneBundle.Tag;
                break;
            case "whole":
                (answer.Status, answer.ContentRange, answer.Bytes) = (200, null, new ArraySegment<byte>(answer.Bytes.Array!));
                break;
            case "other range":
                answer.ContentRange = $"bytes 0-{answer.Bytes.Count - 1}/*";
                break;
            case "short":
                answer.Bytes = answer.Bytes[..1000];
                answer.ContentRange = $"bytes {answer.From}-{answer.From + 999}/{answer.Bytes.Array!.Length}";
                break;
            case "cut":
                answer.CutAfter = answer.Bytes.Count / 2;
                break;
            case "damaged":
                byte[] bytes = [.. answer.Bytes];
                bytes[bytes.Length / 2] ^= 1;
                answer.Bytes = bytes;
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(fault), fault, "no such fault");
        }
    }

    private static async Task<IncomingBundle> RequestAsync(StarlightProxyClient client, OneBundle proxy) =>
        (IncomingBundle)await client.RequestDeltaAsync(proxy.Profile, new DeltaRequest([ImageReference.Parse("reg.example.com/app:1").Value], new Platform("linux", "amd64"), []), CancellationToken.None);

    /// <summary>Receives as the daemon does.</summary>
    /// <returns>How often it had to connect again.</returns>
    private static async Task<int> ReceiveAsync(OneBundle proxy, double? shortest = 0)
    {
        using StarlightProxyClient client = shortest is { } seconds
            ? new(new ErofsFilesystemImages()) { Stripes = 4, ShortestStriped = TimeSpan.FromSeconds(seconds) }
            : new(new ErofsFilesystemImages()) { Stripes = 4 };
        using CheckingSink sink = new();
        await using IncomingBundle bundle = await RequestAsync(client, proxy);
        for (int reconnections = 0; ; reconnections++)
        {
            try
            {
                await bundle.ReceiveAsync(sink, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));
                sink.Arrived.ShouldBe(bundle.Contents.Select(c => c.Digest), "every content, once, and what its digest says");
                bundle.TotalBytes.ShouldBe(proxy.Length);
                return reconnections;
            }
            catch (FailureException e) when (e.Error.Kind is ErrorKind.Unavailable or ErrorKind.DataCorrupt && reconnections < 5)
            {
                (await bundle.ReconnectAsync(CancellationToken.None)).ShouldBeTrue("the sink goes on where it was");
            }
        }
    }
}
