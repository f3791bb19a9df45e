using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.UnitTests.Ordering;

public class TraceTests
{
    private static readonly DateTimeOffset Now = new(2026, 5, 6, 7, 8, 9, TimeSpan.Zero);
    private static readonly FirstOpen A = new(Digest.Of("a"u8), TimeSpan.FromSeconds(1), TimeSpan.Zero);
    private static readonly FirstOpen B = new(Digest.Of("b"u8), TimeSpan.FromSeconds(2), TimeSpan.FromMilliseconds(5));

    [Fact]
    public void Create_WhenEntriesAreOutOfOrder_SortsThemByTime() =>
        Create([B, A]).Value.Opens.ShouldBe([A, B]);

    [Fact]
    public void Create_WhenClockWasAheadAtStart_MovesTheStartToNow()
    {
        Create([A], startedAt: Now.AddYears(3)).Value.StartedAt.ShouldBe(Now);
        Create([A], startedAt: Now.AddYears(-3)).Value.StartedAt.ShouldBe(Now.AddYears(-3));
    }

    [Fact]
    public void Create_WhenNoContainerCanHaveDoneIt_IsRefusedWithTheReason()
    {
        Refusal(Create([])).ShouldBe("Trace.Empty");
        Refusal(Create([A, A])).ShouldBe("Trace.Impossible");
        Refusal(Create([A with { At = TimeSpan.FromTicks(-1) }])).ShouldBe("Trace.Impossible");
        Refusal(Create([A with { Waited = Trace.MaxOffset + TimeSpan.FromTicks(1) }])).ShouldBe("Trace.Impossible");
        Refusal(Create([A], id: Guid.Empty)).ShouldBe("Trace.Impossible");
        Refusal(Create([A], group: new TraceGroup("web", Guid.Empty, TimeSpan.Zero))).ShouldBe("Trace.Impossible");
        Refusal(Create([A], group: new TraceGroup("web", Guid.NewGuid(), TimeSpan.FromDays(-1)))).ShouldBe("Trace.Impossible");
        Refusal(Create([A], group: new TraceGroup("../web", Guid.NewGuid(), TimeSpan.Zero))).ShouldBe("Trace.GroupMalformed");
        Refusal(Create([A], group: new TraceGroup("web\n", Guid.NewGuid(), TimeSpan.Zero))).ShouldBe("Trace.GroupMalformed");
    }

    [Fact]
    public void Create_WhenItHasAMillionEntries_IsRefused()
    {
        FirstOpen[] opens = [.. Enumerable.Range(0, 1_000_000).Select(i => new FirstOpen(Digest.Of(BitConverter.GetBytes(i)), TimeSpan.Zero, TimeSpan.Zero))];

        Refusal(Create(opens)).ShouldBe("Trace.TooLong");
        Create(opens[..Trace.MaxOpens]).IsSuccess.ShouldBeTrue();
    }

    /// <summary>The original lost the layer index of a group with this name.</summary>
    [Fact]
    public void CheckName_WhenTheGroupIsCalledDefault_AllowsIt() => TraceGroup.CheckName("default").IsSuccess.ShouldBeTrue();

    private static Result<Trace> Create(FirstOpen[] opens, Guid? id = null, TraceGroup? group = null, DateTimeOffset? startedAt = null) =>
        Trace.Create(id ?? Guid.NewGuid(), Digest.Of("image"u8), TraceSource.Optimizer, group, startedAt ?? Now, opens, Now);

    private static string Refusal(Result<Trace> result) => result.Error!.Code;
}
