using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Scanning;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Persistence;

namespace Starlight.Infrastructure.IntegrationTests.Persistence;

/// <summary>Each test runs on SQLite and on a real Postgres.</summary>
public abstract class ScanJobsTests(CatalogFixture fixture)
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(1);

    private static readonly ScanRule Rule = new(
        SourcePattern.Parse("*:*").Value, ScanAction.Convert, DestinationTemplate.Parse("{repository}:{tag}-starlight").Value, [Platform.Parse("linux/amd64").Value, Platform.Parse("linux/arm/v7").Value]);

    internal abstract DatabaseKind Kind { get; }

    [Fact]
    public async Task Find_AfterEveryTransition_GivesTheSameJobBack()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IScanJobs jobs = proxy.GetRequiredService<IScanJobs>();
        ScanJob job = Job("a");
        (await jobs.FindAsync(job.Source, job.Destination, default)).ShouldBeNull();
        (await jobs.TryAddAsync(job, default)).ShouldBeTrue();
        await ShouldBeStored(jobs, job);

        foreach (Func<ScanJob, ScanJob> step in new Func<ScanJob, ScanJob>[]
        {
            j => j.Claim("proxy/1", Now, Lease),
            j => j.Renew(ScanStage.Pushing, 42, Now + (2 * Lease)),
            j => j.Push(Rule, Digest.Of([1]), Now)!,
            j => j.Fail(new Error("Registry.Down", "it's \"down\"", ErrorKind.Unavailable), Now),
            j => j.Claim("proxy/1", Now + Lease, Lease),
            j => j.Succeed(Digest.Of([1]), Digest.Of([2]), Now + Lease),
        })
        {
            ScanJob next = step(job);
            (await jobs.TryReplaceAsync(next, job.Version, default)).ShouldBeTrue();
            await ShouldBeStored(jobs, next);
            job = next;
        }
    }

    [Fact]
    public async Task Add_WhenOneIsThere_ChangesNothing()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IScanJobs jobs = proxy.GetRequiredService<IScanJobs>();
        await jobs.TryAddAsync(Job("a"), default);

        (await jobs.TryAddAsync(Job("a") with { Pushed = Digest.Of([9]) }, default)).ShouldBeFalse();

        await ShouldBeStored(jobs, Job("a"));
    }

    [Fact]
    public async Task Add_ForAnotherDestinationOfTheSameSource_IsAnotherJob()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IScanJobs jobs = proxy.GetRequiredService<IScanJobs>();

        (await jobs.TryAddAsync(Job("a"), default)).ShouldBeTrue();
        (await jobs.TryAddAsync(Job("a") with { Destination = null }, default)).ShouldBeTrue();

        (await jobs.ListAsync(null, Job("a").Source, 10, default)).Count.ShouldBe(2);
    }

    [Fact]
    public async Task Replace_WhenSomebodyElseWasFaster_ChangesNothing()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IScanJobs jobs = proxy.GetRequiredService<IScanJobs>();
        ScanJob job = Job("a");
        await jobs.TryAddAsync(job, default);
        ScanJob first = job.Claim("one", Now, Lease);

        (await jobs.TryReplaceAsync(first, job.Version, default)).ShouldBeTrue();
        (await jobs.TryReplaceAsync(job.Claim("two", Now, Lease), job.Version, default)).ShouldBeFalse();

        await ShouldBeStored(jobs, first);
    }

    [Fact]
    public async Task FindRunnable_FindsWhatIsDueAndWhatIsAbandoned()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IScanJobs jobs = proxy.GetRequiredService<IScanJobs>();
        await jobs.TryAddAsync(Job("later") with { NotBefore = Now + Lease }, default);
        await jobs.TryAddAsync(Job("due") with { NotBefore = Now }, default);
        await jobs.TryAddAsync(Job("first") with { NotBefore = Now - Lease }, default);
        await jobs.TryAddAsync(Job("held").Claim("me/1", Now, Lease), default);
        await jobs.TryAddAsync((Job("abandoned") with { NotBefore = Now - (3 * Lease) }).Claim("me/2", Now - (2 * Lease), Lease), default);
        await jobs.TryAddAsync(Job("done").Claim("me/1", Now, Lease).Succeed(Digest.Empty, Digest.Empty, Now), default);

        (await jobs.FindRunnableAsync(Now, 10, default)).Select(j => j.Source.Tag!).ShouldBe(["first", "abandoned", "due"], ignoreOrder: true);
        (await jobs.FindRunnableAsync(Now, 1, default)).ShouldHaveSingleItem().NotBefore.ShouldBeLessThanOrEqualTo(Now - Lease);
        (await jobs.FindOwnedAsync("me/", default)).Select(j => j.Source.Tag!).ShouldBe(["held", "abandoned"], ignoreOrder: true);
        (await jobs.FindOwnedAsync("me/1", default)).Select(j => j.Source.Tag!).ShouldBe(["held"]);
        (await jobs.FindOwnedAsync("m%", default)).ShouldBeEmpty();
    }

    [Fact]
    public async Task List_ByStateAndSource_GivesTheLatestFirst()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IScanJobs jobs = proxy.GetRequiredService<IScanJobs>();
        foreach (int i in Enumerable.Range(0, 5))
        {
            await jobs.TryAddAsync(Job($"t{i}") with { QueuedAt = Now + TimeSpan.FromSeconds(i) }, default);
        }

        await jobs.TryAddAsync(Job("done").Claim("me", Now, Lease).Succeed(Digest.Empty, Digest.Empty, Now), default);

        (await jobs.ListAsync(ScanState.Queued, null, 3, default)).Select(j => j.Source.Tag!).ShouldBe(["t4", "t3", "t2"]);
        (await jobs.ListAsync(ScanState.Done, null, 3, default)).Select(j => j.Source.Tag!).ShouldBe(["done"]);
        (await jobs.ListAsync(null, Job("t1").Source, 3, default)).Select(j => j.Source.Tag!).ShouldBe(["t1"]);
    }

    [Fact]
    public async Task Forget_DropsOnlyWhatEndedLongAgo()
    {
        await using ServiceProvider proxy = await CatalogFixture.OpenAsync(await fixture.NewDatabaseAsync(Kind));
        IScanJobs jobs = proxy.GetRequiredService<IScanJobs>();
        await jobs.TryAddAsync(Job("queued"), default);
        await jobs.TryAddAsync(Job("running").Claim("me", Now, Lease), default);
        await jobs.TryAddAsync(Job("done").Claim("me", Now, Lease).Succeed(Digest.Empty, Digest.Empty, Now), default);
        await jobs.TryAddAsync(Job("new").Claim("me", Now, Lease).Succeed(Digest.Empty, Digest.Empty, Now + Lease), default);

        (await jobs.ForgetAsync(Now + Lease, default)).ShouldBe(1);

        (await jobs.ListAsync(null, null, 10, default)).Select(j => j.Source.Tag!).ShouldBe(["queued", "running", "new"], ignoreOrder: true);
    }

    /// <summary>Two proxies with four workers each: nobody gets a job that somebody else has, and none is left over.</summary>
    [Fact]
    public async Task Claim_ByManyAtOnce_GivesEachJobToOne()
    {
        string database = await fixture.NewDatabaseAsync(Kind);
        await using ServiceProvider first = await CatalogFixture.OpenAsync(database);
        await using ServiceProvider second = await CatalogFixture.OpenAsync(database);
        IScanJobs[] proxies = [first.GetRequiredService<IScanJobs>(), second.GetRequiredService<IScanJobs>()];
        const int count = 24;
        foreach (int i in Enumerable.Range(0, count))
        {
            await proxies[0].TryAddAsync(Job($"t{i}"), default);
        }

        ConcurrentBag<string> claimed = [];
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            IScanJobs jobs = proxies[worker % 2];
            while (await jobs.FindRunnableAsync(Now, 8, default) is { Count: > 0 } candidates)
            {
                foreach (ScanJob job in candidates)
                {
                    if (await jobs.TryReplaceAsync(job.Claim($"w{worker}", Now, Lease), job.Version, default))
                    {
                        claimed.Add(job.Source.Tag!);
                    }
                }
            }
        })));

        claimed.Order(StringComparer.Ordinal).ShouldBe(Enumerable.Range(0, count).Select(i => $"t{i}").Order(StringComparer.Ordinal));
    }

    private static ScanJob Job(string tag)
    {
        ImageReference source = ImageReference.Parse($"r.example:5000/team/app:{tag}").Value;
        return ScanJob.Queue(source, Rule.Destination!.Apply(source).Value, Rule, Digest.Empty, Now);
    }

    private static async Task ShouldBeStored(IScanJobs jobs, ScanJob expected)
    {
        ScanJob found = (await jobs.FindAsync(expected.Source, expected.Destination, default))!;

        found.Platforms.ShouldBe(expected.Platforms);
        (found with { Platforms = expected.Platforms }).ShouldBe(expected);
    }
}

public sealed class SqliteScanJobsTests(CatalogFixture fixture) : ScanJobsTests(fixture), IClassFixture<CatalogFixture>
{
    internal override DatabaseKind Kind => DatabaseKind.Sqlite;
}

public sealed class PostgresScanJobsTests(CatalogFixture fixture) : ScanJobsTests(fixture), IClassFixture<CatalogFixture>
{
    internal override DatabaseKind Kind => DatabaseKind.Postgres;
}
