using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Objects;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Objects;

public sealed class ArrivalBoardTests : IDisposable
{
    private static readonly Digest A = Digest.Of("a"u8);
    private static readonly Digest B = Digest.Of("b"u8);
    private static readonly Error Gone = new("Pull.Gone", "gone", ErrorKind.NotFound);
    private readonly ScratchDirectory _directory = new();
    private readonly ObjectStore _store;
    private readonly ArrivalBoard _board;

    public ArrivalBoardTests()
    {
        _store = new ObjectStore(_directory["objects"]);
        _board = new ArrivalBoard(_store);
    }

    public void Dispose()
    {
        _store.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public void Wait_InEachState_AnswersIt()
    {
        _store.Put(A, "a"u8);
        _board.Wait(A, new Waiter()).ShouldBe(ArrivalState.Present);
        _board.Wait(B, new Waiter()).ShouldBe(ArrivalState.Unavailable);
        _board.Expect([A, B]);
        _board.StateOf(A).ShouldBe(ArrivalState.Present, "what is in the store needs no arrival");
        _board.StateOf(B).ShouldBe(ArrivalState.Expected);
        _board.Wait(B, new Waiter()).ShouldBe(ArrivalState.Expected);
        _board.WaiterCount.ShouldBe(1);
    }

    [Fact]
    public void Arrived_ReleasesEachWaiterOnceAndTellsTheTimes()
    {
        var wanted = new List<Digest>();
        _board.Wanted = wanted.Add;
        _board.Expect([A]);
        Waiter[] waiters = [new(), new(), new()];
        foreach (Waiter waiter in waiters)
        {
            _board.Wait(A, waiter);
        }

        _store.Put(A, "a"u8);
        _board.Arrived(A);
        _board.Arrived(A);

        wanted.ShouldBe([A], "only the first waiter makes a content wanted");
        waiters.ShouldAllBe(waiter => waiter.Releases == 1 && waiter.Failure == null && waiter.Waited > TimeSpan.Zero);
        _board.WaiterCount.ShouldBe(0);
    }

    [Fact]
    public void Fail_WhenTwoPullsExpectTheContent_CountsOnlyFromTheLast()
    {
        _board.Expect([A]);
        _board.Expect([A]);
        var waiter = new Waiter();
        _board.Wait(A, waiter);

        _board.Fail(A, Gone);
        waiter.Releases.ShouldBe(0);
        _board.Fail(A, Gone);
        waiter.Failure.ShouldBe(Gone);
        _board.FailureOf(A).ShouldBe(Gone);
        _board.StateOf(A).ShouldBe(ArrivalState.Unavailable);

        _board.Expect([A]);
        _board.FailureOf(A).ShouldBeNull();
        _board.StateOf(A).ShouldBe(ArrivalState.Expected);
    }

    [Fact]
    public void Cancel_OfAnyWaiterInTheList_LeavesTheOthers()
    {
        foreach (int cancelled in new[] { 0, 1, 2 })
        {
            _board.Expect([B]);
            Waiter[] waiters = [new(), new(), new()];
            foreach (Waiter waiter in waiters)
            {
                _board.Wait(B, waiter);
            }

            _board.Cancel(waiters[cancelled]).ShouldBeTrue();
            _board.Cancel(waiters[cancelled]).ShouldBeFalse();
            _board.WaiterCount.ShouldBe(2);
            _board.Fail(B, Gone);
            waiters.Select(waiter => waiter.Releases).ShouldBe(Enumerable.Range(0, 3).Select(i => i == cancelled ? 0 : 1));
            _board.Cancel(waiters[0]).ShouldBeFalse();
        }
    }

    [Fact]
    public void Wait_RacingWithArrivals_LosesNobody()
    {
        const int count = 2000;
        Digest[] contents = [.. Enumerable.Range(0, count).Select(i => Digest.Of(Encoding.ASCII.GetBytes($"{i}")))];
        _board.Expect(contents);
        int answered = 0;
        var waiters = new List<Waiter>();
        var waiting = new Thread(() =>
        {
            foreach (Digest content in contents)
            {
                var waiter = new Waiter();
                waiters.Add(waiter);
                ArrivalState state = _board.Wait(content, waiter);
                state.ShouldNotBe(ArrivalState.Unavailable);
                answered += state == ArrivalState.Present ? 1 : 0;
            }
        });
        waiting.Start();
        for (int i = 0; i < count; i++)
        {
            _store.Put(contents[i], Encoding.ASCII.GetBytes($"{i}"));
            _board.Arrived(contents[i]);
        }

        waiting.Join();
        (answered + waiters.Sum(waiter => waiter.Releases)).ShouldBe(count);
        _board.WaiterCount.ShouldBe(0);
    }

    private sealed class Waiter : ArrivalWaiter
    {
        public int Releases { get; private set; }

        public Error? Failure { get; private set; }

        public TimeSpan Waited { get; private set; }

        protected internal override void OnReleased(Error? failure, TimeSpan waited)
        {
            Releases++;
            Failure = failure;
            Waited = waited;
        }
    }
}
