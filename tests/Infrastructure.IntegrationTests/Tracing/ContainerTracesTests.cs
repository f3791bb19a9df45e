using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;
using Starlight.Infrastructure.Fuse;
using Starlight.Infrastructure.Tracing;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Tracing;

public sealed class ContainerTracesTests : IDisposable
{
    private static readonly TracedImage Redis = new("registry/redis:7", Digest.Of("redis"u8), "edge");
    private static readonly Dictionary<string, string> NoLabels = [];

    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void SwitchOff_AfterTracing_LeavesTheTraceOnDiskForTheNextDaemon()
    {
        Guid id;
        using (ContainerTraces traces = Open())
        {
            traces.SwitchOn("shop");
            Run(traces, "one", "abc");
            TraceSummary ended = traces.SwitchOff().ShouldHaveSingleItem();
            (ended.Opens, ended.Header.Reference, ended.Header.Group!.Name).ShouldBe((3, Redis.Reference, "shop"));
            id = ended.Header.Id;
        }

        using ContainerTraces next = Open();
        next.State.Finished.ShouldHaveSingleItem().Opens.ShouldBe(3);
        Trace trace = next.Read(id)!;
        trace.Image.ShouldBe(Redis.Manifest);
        trace.Opens.Select(o => o.Content).ShouldBe([D('a'), D('b'), D('c')]);
        next.Delete(id);
        next.Read(id).ShouldBeNull();
        next.State.Finished.ShouldBeEmpty();
    }

    [Fact]
    public void SwitchOn_OutlivesTheDaemon()
    {
        using (ContainerTraces traces = Open())
        {
            traces.SwitchOn("shop");
        }

        using ContainerTraces next = Open();
        (next.State.On, next.State.Group).ShouldBe((true, "shop"));
        Run(next, "one", "a");
        next.SwitchOff().Count.ShouldBe(1);
        Open(inspect: t => t.State.On).ShouldBeFalse();
    }

    [Fact]
    public void Created_WhileTheOptimizerIsOff_TracesNothing()
    {
        using ContainerTraces traces = Open();
        traces.Created("one", NoLabels);
        traces.Attached("one", Redis, arrivals: null).ShouldBeNull();
        traces.SwitchOn(null);
        traces.Attached("one", Redis, arrivals: null).ShouldBeNull("it was created before");
        traces.Created("layer", new Dictionary<string, string> { [SnapshotLabels.Reference] = "sha256:…" });
        traces.Attached("layer", Redis, arrivals: null).ShouldBeNull("it is no container");
        traces.Created("part", NoLabels);
        traces.Attached("part", image: null, arrivals: null).ShouldBeNull("it is no image");
    }

    [Fact]
    public void Detached_WhenTheContainerIsRemoved_EndsTheTrace()
    {
        using ContainerTraces traces = Open();
        traces.SwitchOn(null);
        TraceRecorder opened = Run(traces, "one", "a");

        traces.Detached("one");
        traces.State.Finished.Count.ShouldBe(1);
        opened.Record(new GateLookup(D('z'), TimeSpan.Zero, GateOutcome.Present));

        traces.State.Running.ShouldBeEmpty();
        traces.State.Finished.ShouldHaveSingleItem().Opens.ShouldBe(1);
        traces.SwitchOff().ShouldBeEmpty();
    }

    [Fact]
    public void Record_CountsEachContentOnceAndOnlyWhatWasOpened()
    {
        using ContainerTraces traces = Open();
        traces.SwitchOn(null);
        TraceRecorder opened = Run(traces, "one", "aba");
        opened.Record(new GateLookup(D('f'), TimeSpan.Zero, GateOutcome.Failed));
        opened.Record(new GateLookup(D('k'), TimeSpan.FromSeconds(1), GateOutcome.Interrupted));
        opened.Record(new GateLookup(D('w'), TimeSpan.FromSeconds(2), GateOutcome.Arrived));

        TraceSummary ended = traces.SwitchOff().ShouldHaveSingleItem();

        (ended.Opens, ended.Waited).ShouldBe((3, TimeSpan.FromSeconds(2)));
    }

    [Fact]
    public void Record_WhenNothingWasOpened_LeavesNoTrace()
    {
        using ContainerTraces traces = Open();
        traces.SwitchOn(null);
        Run(traces, "one", "");

        traces.SwitchOff().ShouldBeEmpty();
        traces.State.Finished.ShouldBeEmpty();
        Directory.GetFiles(_scratch.Path, "*.open").ShouldBeEmpty();
    }

    [Fact]
    public void Record_OfAMillionOpens_StopsAtTheLimit()
    {
        using ContainerTraces traces = Open();
        traces.SwitchOn(null);
        TraceRecorder opened = Run(traces, "one", "");
        for (int i = 0; i < 1_000_000; i++)
        {
            opened.Record(new GateLookup(new Digest([.. BitConverter.GetBytes(i), .. new byte[28]]), TimeSpan.Zero, GateOutcome.Present));
        }

        TraceSummary ended = traces.SwitchOff().ShouldHaveSingleItem();

        ended.Opens.ShouldBe(Trace.MaxOpens);
        traces.Read(ended.Header.Id)!.Opens.Count.ShouldBe(Trace.MaxOpens);
    }

    [Fact]
    public void Open_AfterAKill_FinishesWhatWasRecordedAndLeavesOutHalfALine()
    {
        ContainerTraces killed = Open();
        killed.SwitchOn(null);
        Run(killed, "one", "abc");
        killed.Tick();
        string file = Directory.GetFiles(_scratch.Path, "*.open").ShouldHaveSingleItem();
        string copy = File.ReadAllText(file);
        File.WriteAllText(file, copy[..^3]);

        using ContainerTraces next = Open();

        TraceSummary found = next.State.Finished.ShouldHaveSingleItem();
        found.Opens.ShouldBe(2);
        next.Read(found.Header.Id)!.Opens.Select(o => o.Content).ShouldBe([D('a'), D('b')]);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"version\":1")]
    [InlineData("{\"version\":2,\"id\":\"4e4d2d8a-28a7-4c3c-8a3a-5dbd3d0c7d2f\"}\n")]
    [InlineData("nonsense\n")]
    public void Open_WhenAFileIsNoTrace_RemovesItAndKeepsTheOthers(string content)
    {
        using (ContainerTraces traces = Open())
        {
            traces.SwitchOn(null);
            Run(traces, "one", "a");
            traces.SwitchOff();
        }

        File.WriteAllText(_scratch["4e4d2d8a-28a7-4c3c-8a3a-5dbd3d0c7d2f.trace"], content);

        Open(inspect: t => t.State.Finished.Count).ShouldBe(1);
        Directory.GetFiles(_scratch.Path, "*.trace").Length.ShouldBe(1);
    }

    [Fact]
    public void Open_OfATraceCutShortAnywhere_HasTheWholeLinesAndKeepsTheOthers()
    {
        (string file, byte[] whole) = TwoTraces();
        for (int length = 0; length <= whole.Length; length++)
        {
            File.WriteAllBytes(file, whole.AsSpan(0, length));
            int lines = Math.Max(0, whole.AsSpan(0, length).Count((byte)'\n') - 1);

            Open(inspect: t => t.State.Finished.Select(f => f.Opens).Order().ToArray()).ShouldBe(lines > 0 ? [.. new[] { 1, lines }.Order()] : [1], $"cut after {length} bytes");
        }
    }

    [Fact]
    public void Open_OfATraceWithAnyByteDamaged_StartsAndKeepsTheOthers()
    {
        (string file, byte[] whole) = TwoTraces();
        for (int at = 0; at < whole.Length; at++)
        {
            foreach (byte mask in new byte[] { 0x01, 0x10, 0x80 })
            {
                byte[] damaged = [.. whole];
                damaged[at] ^= mask;
                File.WriteAllBytes(file, damaged);

                using ContainerTraces traces = Open();
                TraceSummary[] found = [.. traces.State.Finished];
                found.Count(f => f.Opens == 1 && f.Header.Reference == "other").ShouldBe(1, $"byte {at} ^ {mask}");
                foreach (TraceSummary each in found)
                {
                    _ = traces.Read(each.Header.Id); // nothing, or something possible
                }
            }
        }
    }

    [Fact]
    public void Open_WhenTimesAddUpToMoreThanThereIs_LeavesThatLineOut()
    {
        (string file, byte[] whole) = TwoTraces();
        string longest = (long.MaxValue / TimeSpan.TicksPerMicrosecond).ToString(CultureInfo.InvariantCulture);
        File.WriteAllText(file, Encoding.UTF8.GetString(whole) + $"{D('x').Hex} 1 {longest}\n{D('y').Hex} 1 {longest}\n");

        Open(inspect: t => t.State.Finished.Max(f => f.Opens)).ShouldBe(3);
    }

    [Fact]
    public void Open_OfATraceOfAMillionLines_HasAsManyAsATraceMayHave()
    {
        (string file, _) = TwoTraces();
        using (StreamWriter lines = File.AppendText(file))
        {
            for (int i = 0; i < 1_000_000; i++)
            {
                lines.Write($"{i:x64} 1 0\n");
            }
        }

        using ContainerTraces traces = Open();
        TraceSummary found = traces.State.Finished.MaxBy(f => f.Opens)!;
        found.Opens.ShouldBe(Trace.MaxOpens);
        traces.Read(found.Header.Id)!.Opens.Count.ShouldBe(Trace.MaxOpens);
    }

    [Fact]
    public void Open_WhenATraceCannotBeRead_StartsWithTheOthersAndLeavesItThere()
    {
        (string file, _) = TwoTraces();
        File.Delete(file);
        File.CreateSymbolicLink(file, file); // opening it is an I/O error, as of a bad sector

        Open(inspect: t => t.State.Finished.ShouldHaveSingleItem().Header.Reference).ShouldBe("other");
        File.ResolveLinkTarget(file, returnFinalTarget: false).ShouldNotBeNull();
    }

    [Theory]
    [InlineData("{\"on\":true,\"group\":\"../shop\",\"run\":\"4e4d2d8a-28a7-4c3c-8a3a-5dbd3d0c7d2f\"}")]
    [InlineData("{\"on\":true,\"group\":\"shop\"}")]
    [InlineData("{\"on\":tr")]
    [InlineData("null")]
    public void Open_WhenTheSwitchCannotBe_IsOff(string text)
    {
        File.WriteAllText(_scratch["optimizer.json"], text);

        Open(inspect: t => t.State.On).ShouldBeFalse();
    }

    [Fact]
    public void Trace_WhenTheClockJumpsBack_KeepsTheOrderAndTheGroup()
    {
        JumpingClock clock = new();
        using ContainerTraces traces = new(_scratch.Path, obstacle: null, online: false, clock, NullLogger<ContainerTraces>.Instance);
        traces.SwitchOn("shop");
        TraceRecorder opened = Run(traces, "one", "ab");
        clock.Jump = TimeSpan.FromDays(-3650);
        opened.Record(new GateLookup(D('c'), TimeSpan.Zero, GateOutcome.Present));
        Run(traces, "two", "d");

        Trace[] ended = [.. traces.SwitchOff().Select(t => traces.Read(t.Header.Id)!)];

        Trace first = ended.MaxBy(t => t.Opens.Count)!;
        first.Opens.Select(o => o.Content).ShouldBe([D('a'), D('b'), D('c')]);
        first.StartedAt.ShouldBe(clock.GetUtcNow(), "it cannot have started later than now");
        ended.Select(t => t.Group!.Offset).ShouldAllBe(offset => offset >= TimeSpan.Zero && offset < TimeSpan.FromDays(1));
    }

    [Fact]
    public void Group_CountsFromItsFirstContainer()
    {
        using ContainerTraces traces = Open();
        traces.SwitchOn("shop");
        Run(traces, "one", "a");
        Run(traces, "two", "b");

        TraceGroup[] groups = [.. traces.SwitchOff().OrderBy(t => t.Header.Group!.Offset).Select(t => t.Header.Group!)];

        groups[0].Offset.ShouldBe(TimeSpan.Zero);
        groups[1].Offset.ShouldBeGreaterThan(TimeSpan.Zero);
        groups[1].Run.ShouldBe(groups[0].Run);
        traces.SwitchOn("shop");
        Run(traces, "three", "a");
        traces.SwitchOff().ShouldHaveSingleItem().Header.Group!.Run.ShouldNotBe(groups[0].Run, "runs on different days are not one");
    }

    [Theory]
    [InlineData("on", true)]
    [InlineData("true", true)]
    [InlineData("off", false)]
    public void Label_TracesWithoutTheSwitchAndReportsByItself(string value, bool isTraced)
    {
        using ContainerTraces traces = Open();
        traces.Created("one", new Dictionary<string, string> { [SnapshotLabels.Trace] = value, [SnapshotLabels.TraceGroup] = "pod-7" });
        TraceRecorder? opened = traces.Attached("one", Redis, arrivals: null);
        (opened is not null).ShouldBe(isTraced);
        opened?.Record(new GateLookup(D('a'), TimeSpan.Zero, GateOutcome.Present));
        traces.Detached("one");

        traces.State.Finished.Select(t => (t.Header.IsReportedByItself, t.Header.Group!.Name)).ShouldBe(isTraced ? [(true, "pod-7")] : []);
    }

    [Fact]
    public void Online_KeepsATraceOnlyIfTheOrderWasToBlame()
    {
        using ContainerTraces traces = Open(online: true);
        Arrivals badOrder = new([new ContentRef(D('x'), 50 << 20), new ContentRef(D('a'), 10)], () => true);
        Arrivals goodOrder = new([new ContentRef(D('a'), 50 << 20), new ContentRef(D('x'), 10)], () => true);
        foreach ((string key, Arrivals arrivals, TimeSpan waited) in new[] { ("bad", badOrder, TimeSpan.FromSeconds(1)), ("good", goodOrder, TimeSpan.FromSeconds(1)), ("here", badOrder, TimeSpan.Zero) })
        {
            traces.Created(key, NoLabels);
            traces.Attached(key, Redis with { Reference = key }, arrivals)!.Record(new GateLookup(D('a'), waited, GateOutcome.Arrived));
            traces.Detached(key);
        }

        traces.State.Finished.ShouldHaveSingleItem().Header.Reference.ShouldBe("bad");
        traces.Created("complete", NoLabels);
        traces.Attached("complete", Redis, arrivals: null).ShouldBeNull();
    }

    [Fact]
    public void Online_WhenSwitchedOff_TracesNothing()
    {
        using ContainerTraces traces = Open(online: false);
        traces.Created("one", NoLabels);

        traces.Attached("one", Redis, new Arrivals([], () => false)).ShouldBeNull();
    }

    [Fact]
    public void Created_WhereNothingCanBeTraced_IsIgnored()
    {
        using ContainerTraces traces = new(_scratch.Path, new Error("Optimizer.NothingSeen", "directory trees", ErrorKind.Unsupported), online: true, TimeProvider.System, NullLogger<ContainerTraces>.Instance);
        traces.Created("one", new Dictionary<string, string> { [SnapshotLabels.Trace] = "on" });

        traces.Attached("one", Redis, arrivals: null).ShouldBeNull();
    }

    private ContainerTraces Open(bool online = false) => new(_scratch.Path, obstacle: null, online, TimeProvider.System, NullLogger<ContainerTraces>.Instance);

    private T Open<T>(Func<ContainerTraces, T> inspect)
    {
        using ContainerTraces traces = Open();
        return inspect(traces);
    }

    private static TraceRecorder Run(ContainerTraces traces, string key, string opens)
    {
        traces.Created(key, NoLabels);
        TraceRecorder opened = traces.Attached(key, Redis, arrivals: null).ShouldNotBeNull();
        foreach (char name in opens)
        {
            opened.Record(new GateLookup(D(name), TimeSpan.Zero, GateOutcome.Present));
        }

        return opened;
    }

    /// <summary>One of the image "other" and one of three opens.</summary>
    /// <returns>The file of the latter, and what is in it.</returns>
    private (string File, byte[] Content) TwoTraces()
    {
        using ContainerTraces traces = Open();
        traces.SwitchOn("shop");
        traces.Created("other", NoLabels);
        traces.Attached("other", Redis with { Reference = "other" }, arrivals: null)!.Record(new GateLookup(D('z'), TimeSpan.Zero, GateOutcome.Present));
        Run(traces, "one", "abc");
        string file = _scratch[traces.SwitchOff().Single(t => t.Opens == 3).Header.Id.ToString("D") + ".trace"];
        return (file, File.ReadAllBytes(file));
    }

    private static Digest D(char name) => Digest.Of([(byte)name]);

    private sealed class JumpingClock : TimeProvider
    {
        public TimeSpan Jump { get; set; }

        private DateTimeOffset Stopped { get; } = DateTimeOffset.UtcNow;

        public override DateTimeOffset GetUtcNow() => Stopped + Jump;
    }
}
