using System.Collections.Concurrent;
using System.Globalization;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.Native;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Mounts;

public sealed class OpenWatchTests : IDisposable
{
    private readonly ScratchDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Watch_OfManyOpens_TellsEachFileOnceAndInOrder()
    {
        const int Files = 3_000;
        using Mounted inner = Inner(Files);
        using Mounted outer = Outer(inner);
        List<ulong> told = [];
        using (OpenWatch.Start(inner.Target, inode =>
        {
            told.Add(inode);
            return true;
        }, Fail))
        {
            for (int round = 0; round < 2; round++)
            {
                for (int i = Files - 1; i >= 0; i--)
                {
                    File.OpenHandle(Path.Combine(outer.Target, Name(i))).Dispose();
                }
            }
        }

        told.Distinct().ShouldBe(Enumerable.Range(0, Files).Reverse().Select(i => InodeOf(Path.Combine(_directory["lower"], Name(i)))));
        told.Count.ShouldBeLessThan(2 * Files, "what was told once is ignored");
    }

    [Fact]
    public void Watch_OfADirectoryOrAMissingName_TellsNothing()
    {
        using Mounted inner = Inner(3);
        using Mounted outer = Outer(inner);
        List<ulong> told = [];
        using (OpenWatch.Start(inner.Target, inode =>
        {
            told.Add(inode);
            return true;
        }, Fail))
        {
            Directory.GetFiles(outer.Target).Length.ShouldBe(3);
            File.Exists(Path.Combine(outer.Target, "missing")).ShouldBeFalse();
            File.WriteAllText(Path.Combine(outer.Target, "new"), "of the upper directory");
            File.ReadAllText(Path.Combine(outer.Target, "new"));
        }

        told.ShouldBeEmpty();
    }

    [Fact]
    public async Task Watch_WhenNoMoreIsWanted_EndsByItself()
    {
        using Mounted inner = Inner(200);
        using Mounted outer = Outer(inner);
        int told = 0;
        using OpenWatch watch = OpenWatch.Start(inner.Target, _ => Interlocked.Increment(ref told) < 5, Fail);
        for (int i = 0; i < 200; i++)
        {
            File.OpenHandle(Path.Combine(outer.Target, Name(i))).Dispose();
        }

        await Probe.UntilAsync(() => watch.HasEnded, "it ends");
        told.ShouldBe(5);
        Tool.Run("cat", [Path.Combine(outer.Target, Name(7))]).ShouldBe("7", "nobody is in the way of who opens something");
    }

    [Fact]
    public void Watch_OfWhatIsNotThere_Fails() =>
        Should.Throw<FailureException>(() => OpenWatch.Start(_directory["nothing"], _ => true, Fail)).Error.Code.ShouldBe("Mount.NotWatched");

    [Fact]
    public async Task Watch_WhoseListenerFails_SaysSoAndEndsAlone()
    {
        using Mounted inner = Inner(2);
        using Mounted outer = Outer(inner);
        ConcurrentQueue<Exception> failures = [];
        using OpenWatch watch = OpenWatch.Start(inner.Target, _ => throw new InvalidOperationException("no more paper"), failures.Enqueue);

        Tool.Run("cat", [Path.Combine(outer.Target, Name(0))]);

        await Probe.UntilAsync(() => watch.HasEnded, "it ends");
        failures.ShouldHaveSingleItem().Message.ShouldBe("no more paper");
        Tool.Run("cat", [Path.Combine(outer.Target, Name(1))]).ShouldBe("1");
    }

    private static void Fail(Exception e) => throw new InvalidOperationException("the watch failed", e);

    private static string Name(int number) => "f" + number.ToString(CultureInfo.InvariantCulture);

    private static ulong InodeOf(string path)
    {
        FileStatus.Read(path, out FileStatus status).ShouldBe(0);
        return status.Inode;
    }

    private Mounted Inner(int files)
    {
        Requirements.Root();
        string lower = _directory.Create("lower");
        for (int i = 0; i < files; i++)
        {
            File.WriteAllText(Path.Combine(lower, Name(i)), i.ToString(CultureInfo.InvariantCulture));
        }

        return Mounted.On(_directory["inner"], ("overlay", "overlay", ["ro", "xino=off", $"lowerdir={lower}:{_directory.Create("below")}"]));
    }

    private Mounted Outer(Mounted inner) =>
        Mounted.On(_directory["outer"], ("overlay", "overlay", ["index=off", $"lowerdir={inner.Target}", $"upperdir={_directory.Create("upper")}", $"workdir={_directory.Create("work")}"]));
}
