using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.UnitTests.Scanning;

public sealed class ScanJobTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(1);
    private static readonly Digest First = Digest.Of("first"u8);
    private static readonly Digest Second = Digest.Of("second"u8);
    private static readonly ScanRule Rule = new(SourcePattern.Parse("*:*").Value, ScanAction.Index, null, []);
    private static readonly Error Down = new("Registry.Down", "down", ErrorKind.Unavailable);

    private static readonly ScanJob Queued = ScanJob.Queue(ImageReference.Parse("r.example/a:1").Value, null, Rule, First, Now);

    private static ScanJob Running => Queued.Claim("me", Now, Lease);

    [Fact]
    public void Push_WhenTheSameDigestWaitsRunsOrIsDone_ChangesNothing()
    {
        Queued.Push(Rule, First, Now).ShouldBeNull();
        Running.Push(Rule, First, Now).ShouldBeNull();
        Running.Succeed(First, First, Now).Push(Rule, First, Now).ShouldBeNull();
    }

    [Fact]
    public void Push_WhenQueued_Collapses()
    {
        ScanJob job = Queued.Push(Rule, Second, Now)!;

        (job.State, job.Pushed).ShouldBe((ScanState.Queued, Second));
        job.Claim("me", Now, Lease).Succeed(Second, Second, Now).State.ShouldBe(ScanState.Done, "one run for both");
    }

    [Fact]
    public void Push_WhileRunning_RunsOnceMore()
    {
        ScanJob job = Running.Push(Rule, Second, Now)!;

        (job.State, job.Owner).ShouldBe((ScanState.Running, "me"));
        ScanJob again = job.Succeed(First, First, Now);
        (again.State, again.Attempts, again.Pushed).ShouldBe((ScanState.Queued, 0, Second));
    }

    [Fact]
    public void Succeed_WhenItReadTheNewestAlready_IsDone() => Running.Push(Rule, Second, Now)!.Succeed(Second, Second, Now).State.ShouldBe(ScanState.Done);

    [Fact]
    public void Push_WhenDone_RunsAgainAlsoForAnEarlierDigest()
    {
        ScanJob second = Running.Succeed(First, First, Now).Push(Rule, Second, Now)!.Claim("me", Now, Lease).Succeed(Second, Second, Now);

        second.Push(Rule, First, Now)!.State.ShouldBe(ScanState.Queued, "the tag was put back");
    }

    [Fact]
    public void Push_WhenFailed_StartsOver()
    {
        ScanJob failed = Running.Fail(new Error("X.Y", "no", ErrorKind.InvalidInput), Now);

        failed.State.ShouldBe(ScanState.Failed);
        ScanJob again = failed.Push(Rule, First, Now)!;
        (again.State, again.Attempts, again.Error).ShouldBe((ScanState.Queued, 0, null));
    }

    [Fact]
    public void Fail_WhenItMayPass_PausesLongerEachTimeAndEnds()
    {
        ScanJob job = Queued;
        DateTimeOffset now = Now;
        List<TimeSpan> pauses = [];
        while (job.State == ScanState.Queued)
        {
            job = job.Claim("me", now, Lease).Fail(Down, now);
            if (job.State == ScanState.Queued)
            {
                pauses.Add(job.NotBefore - now);
                job.IsRunnable(now).ShouldBeFalse();
                now = job.NotBefore;
            }
        }

        (job.State, job.Attempts, job.Error).ShouldBe((ScanState.Failed, RetryPolicy.MaxAttempts, Down));
        pauses.ShouldBe(pauses.Order());
        (pauses[0], pauses[1], pauses[^1]).ShouldBe((TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(20), TimeSpan.FromHours(1)));
    }

    [Theory]
    [InlineData(ErrorKind.Unsupported, 1)]
    [InlineData(ErrorKind.DataCorrupt, 1)]
    [InlineData(ErrorKind.NotFound, 3)]
    [InlineData(ErrorKind.Unauthenticated, RetryPolicy.MaxAttempts)]
    [InlineData(ErrorKind.ResourceExhausted, RetryPolicy.MaxAttempts)]
    public void PauseAfter_ForEachKind_EndsAfterSoManyAttempts(ErrorKind kind, int attempts)
    {
        Error error = new("X.Y", "no", kind);

        RetryPolicy.PauseAfter(error, attempts).ShouldBeNull();
        Enumerable.Range(1, attempts - 1).ShouldAllBe(a => RetryPolicy.PauseAfter(error, a) != null);
    }

    [Fact]
    public void Claim_WhenLeaseHasRunOut_IsTakenOver()
    {
        Running.IsRunnable(Now).ShouldBeFalse();
        Running.IsRunnable(Now + Lease).ShouldBeTrue();
        Running.Renew(ScanStage.Converting, 50, Now + (2 * Lease)).IsRunnable(Now + Lease).ShouldBeFalse();
        ScanJob taken = Running.Claim("other", Now + Lease, Lease);
        (taken.Owner, taken.Attempts).ShouldBe(("other", 2));
    }

    [Fact]
    public void Claim_WhenEveryProxyDiedOverIt_GivesUp()
    {
        ScanJob job = Queued;
        DateTimeOffset now = Now;
        do
        {
            job = job.Claim("me", now, Lease);
            now += Lease;
        }
        while (job.State == ScanState.Running && job.Attempts < 100);

        (job.State, job.Error!.Code).ShouldBe((ScanState.Failed, "Scanner.Abandoned"));
    }

    [Fact]
    public void Release_WhenTheProxyStops_CountsAsNoAttempt()
    {
        ScanJob job = Running.Release(Now);

        (job.State, job.Attempts, job.Owner).ShouldBe((ScanState.Queued, 0, null));
        job.IsRunnable(Now).ShouldBeTrue();
    }

    /// <summary>Whatever happens in whatever order: the last digest pushed is done last, every change counts the version up by one, and only running jobs have an owner.</summary>
    [Fact]
    public void Job_AfterAnySequence_EndsWithTheLatestPush()
    {
        Gen<int[]> steps = Gen.Choose(0, 5).ArrayOf();
        Prop.ForAll(steps.ToArbitrary(), sequence =>
        {
            ScanJob job = Queued;
            DateTimeOffset now = Now;
            Digest truth = First;
            Digest read = First;
            Digest converted = default;
            int pushes = 0;
            foreach (int step in sequence)
            {
                ScanJob before = job;
                now += TimeSpan.FromHours(2);
                switch (step)
                {
                    case 0 or 1:
                        truth = Digest.Of([(byte)(step + (pushes++ % 3))]);
                        job = job.Push(Rule, truth, now) ?? job;
                        break;
                    case 2 when job.IsRunnable(now):
                        job = job.Claim("me", now, Lease);
                        read = truth;
                        break;
                    case 3 when job.State == ScanState.Running:
                        job = job.Succeed(read, read, now);
                        converted = read;
                        break;
                    case 4 when job.State == ScanState.Running:
                        job = job.Fail(Down, now);
                        break;
                    case 5 when job.State == ScanState.Running:
                        job = job.Release(now);
                        break;
                }

                if ((job.State == ScanState.Running) != job.Owner is not null || (!ReferenceEquals(job, before) && job.Version != before.Version + 1))
                {
                    return false;
                }
            }

            return job.State != ScanState.Done || converted == truth;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));
    }
}
