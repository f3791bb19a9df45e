using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Fuse;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Fuse;

/// <summary>The gate on real mounts. Files are read by child processes only.</summary>
public sealed class ArrivalGateTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly GateRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task Open_WhenContentIsAbsent_WaitsAndThenReadsTheRightBytes()
    {
        byte[] content = Encoding.ASCII.GetBytes("hello from far away\n");
        Digest digest = _rig.Image.AddFile("etc/greeting", content);
        _rig.ExpectAll();
        GatedContainer container = await _rig.MountAsync();

        using ChildProcess reader = ChildProcess.Start("cat", [container["etc/greeting"]]);
        await _rig.WaitingAsync(1);
        reader.HasExited.ShouldBeFalse();
        _rig.Deliver(digest);

        (await reader.WaitAsync(Patience)).Succeeded().ShouldBe("hello from far away\n");
        _rig.Gate.WaitingCount.ShouldBe(0);
    }

    [Fact]
    public async Task StatReaddirAndWalk_WhenEverythingIsAbsent_NeverReachTheGate()
    {
        for (int i = 0; i < 50; i++)
        {
            _rig.Image.AddFile($"d{i % 5}/f{i}", Encoding.ASCII.GetBytes($"content {i}"));
        }

        _rig.ExpectAll();
        int lookups = 0;
        GatedContainer container = await _rig.MountAsync(_ => lookups++);

        ProcessOutcome walk = await ProcessRunner.RunAsync("find", [container.Root, "-type", "f", "-printf", "%s %m\n"]);
        walk.Succeeded().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length.ShouldBe(50);
        (await ProcessRunner.RunAsync("stat", ["-c", "%s", container["d1/f1"]])).Succeeded().ShouldBe("9\n");
        (await ProcessRunner.RunAsync("ls", ["-lR", container.Root])).Succeeded();

        lookups.ShouldBe(0);
        _rig.Gate.WaitingCount.ShouldBe(0);
    }

    [Fact]
    public async Task Exec_WhenProgramAndLibrariesArriveLate_Runs()
    {
        // ldd lists what the program needs: "libc.so.6 => /lib/… (0x…)" and "/lib64/ld-linux-… (0x…)".
        string program = File.ResolveLinkTarget("/usr/bin/env", returnFinalTarget: true)?.FullName ?? "/usr/bin/env";
        string[] libraries = [.. (await ProcessRunner.RunAsync("ldd", [program])).Succeeded()
            .Split('\n')
            .Select(line => line.Split(' ', '\t').FirstOrDefault(word => word.StartsWith('/')))
            .OfType<string>()];
        libraries.Length.ShouldBeGreaterThan(1);
        foreach (string file in libraries.Prepend(program))
        {
            _rig.Image.AddFile(file.TrimStart('/'), File.ReadAllBytes(file), (UnixFileMode)0x1ED);
        }

        _rig.ExpectAll();
        var wanted = new BlockingCollection<Digest>();
        _rig.Board.Wanted = wanted.Add;
        GatedContainer container = await _rig.MountAsync();

        using ChildProcess child = ChildProcess.Start("chroot", [container.Root, program, "-i", "LATE=yes"]);
        Task<ProcessOutcome> outcome = child.WaitAsync(Patience);
        int delivered = 0;
        while (!outcome.IsCompleted)
        {
            if (wanted.TryTake(out Digest next, TimeSpan.FromMilliseconds(20)))
            {
                _rig.Deliver(next);
                delivered++;
            }
        }

        (await outcome).Succeeded().ShouldBe("LATE=yes\n");
        delivered.ShouldBe(libraries.Length + 1);
    }

    [Fact]
    public async Task Open_WhenAThousandWaitForAThousandContents_AllAreReleased()
    {
        const int count = 1000;
        for (int i = 0; i < count; i++)
        {
            _rig.Image.AddFile($"f{i}", Encoding.ASCII.GetBytes($"{i}\n"));
        }

        _rig.ExpectAll();
        GatedContainer container = await _rig.MountAsync();
        using ChildProcess readers = ChildProcess.Start(
            "sh", ["-c", $"cd {container.Root} && i=0; while [ $i -lt {count} ]; do cat f$i & i=$((i+1)); done; wait"]);
        await _rig.WaitingAsync(count);
        foreach (Digest digest in _rig.Image.Contents.Keys)
        {
            _rig.Deliver(digest);
        }

        string output = (await readers.WaitAsync(TimeSpan.FromSeconds(60))).Succeeded();
        output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).Order().ShouldBe(Enumerable.Range(0, count));
    }

    [Fact]
    public async Task Open_WhenContentFailsForGood_GetsEioNotEnoent()
    {
        Digest digest = _rig.Image.AddFile("lost", Encoding.ASCII.GetBytes("lost"));
        _rig.ExpectAll();
        var lookups = new ConcurrentQueue<GateLookup>();
        GatedContainer container = await _rig.MountAsync(lookups.Enqueue);

        using ChildProcess reader = ChildProcess.Start("cat", [container["lost"]]);
        await _rig.WaitingAsync(1);
        _rig.Board.Fail(digest, new Error("Pull.Gone", "the registry deleted it", ErrorKind.NotFound));
        ProcessOutcome outcome = await reader.WaitAsync(Patience);
        outcome.ExitCode.ShouldBe(1);
        outcome.ErrorOutput.ShouldContain("Input/output error");

        // Nor does a later open wait, and neither has to be mounted again once the content is there after all.
        (await ProcessRunner.RunAsync("cat", [container["lost"]])).ErrorOutput.ShouldContain("Input/output error");
        _rig.Deliver(digest);
        (await ProcessRunner.RunAsync("cat", [container["lost"]])).Succeeded().ShouldBe("lost");
        lookups.Select(lookup => lookup.Outcome).ShouldBe([GateOutcome.Failed, GateOutcome.Failed, GateOutcome.Present]);
    }

    [Fact]
    public async Task Open_WhenContentIsNeitherStoredNorExpected_FailsAtOnce()
    {
        _rig.Image.AddFile("unknown", Encoding.ASCII.GetBytes("unknown"));
        GatedContainer container = await _rig.MountAsync();

        (await ProcessRunner.RunAsync("cat", [container["unknown"]])).ErrorOutput.ShouldContain("Input/output error");
    }

    [Fact]
    public async Task Chmod_WhenContentIsAbsent_WaitsAndCopiesTheFullFileUp()
    {
        byte[] content = new byte[100_000];
        Random.Shared.NextBytes(content);
        Digest digest = _rig.Image.AddFile("script", content);
        _rig.ExpectAll();
        GatedContainer container = await _rig.MountAsync();

        using ChildProcess chmod = ChildProcess.Start("chmod", ["755", container["script"]]);
        await _rig.WaitingAsync(1);
        _rig.Deliver(digest);
        (await chmod.WaitAsync(Patience)).Succeeded();

        File.ReadAllBytes(Path.Combine(container.Upper, "script")).ShouldBe(content);
        (await ProcessRunner.RunAsync("getfattr", ["-d", "-m", "trusted.overlay.metacopy", Path.Combine(container.Upper, "script")]))
            .Succeeded().ShouldNotContain("metacopy");
    }

    [Fact]
    public async Task Open_WhenTwoContainersWaitForOneContent_TheyAreIndependent()
    {
        Digest digest = _rig.Image.AddFile("shared", Encoding.ASCII.GetBytes("shared"));
        _rig.ExpectAll();
        GatedContainer first = await _rig.MountAsync();
        GatedContainer second = await _rig.MountAsync();

        using ChildProcess one = ChildProcess.Start("cat", [first["shared"]]);
        using ChildProcess two = ChildProcess.Start("cat", [second["shared"]]);
        await _rig.WaitingAsync(2);
        one.Kill();
        await one.WaitAsync(TimeSpan.FromSeconds(1));
        first.Gate!.Dispose();
        _rig.Gate.WaitingCount.ShouldBe(1);
        _rig.Deliver(digest);

        (await two.WaitAsync(Patience)).Succeeded().ShouldBe("shared");
    }

    [Fact]
    public async Task Open_WhenTwoPathsOfAContainerHaveEqualContent_BothWaitAndEachCanBeKilled()
    {
        Digest digest = _rig.Image.AddFile("a/one", Encoding.ASCII.GetBytes("same"));
        _rig.Image.AddFile("b/two", Encoding.ASCII.GetBytes("same"));
        _rig.Image.AddFile("c/three", Encoding.ASCII.GetBytes("same"));
        _rig.ExpectAll();
        GatedContainer container = await _rig.MountAsync();

        using ChildProcess one = ChildProcess.Start("cat", [container["a/one"]]);
        await ForgottenAsync(1);
        using ChildProcess two = ChildProcess.Start("cat", [container["b/two"]]);
        await ForgottenAsync(2); // without another incarnation of the fan-out directory the kernel would hold it back, unkillable
        using ChildProcess three = ChildProcess.Start("cat", [container["c/three"]]);
        await _rig.WaitingAsync(3);
        two.Kill();
        await two.WaitAsync(TimeSpan.FromSeconds(1));
        _rig.Deliver(digest);

        (await one.WaitAsync(Patience)).Succeeded().ShouldBe("same");
        (await three.WaitAsync(Patience)).Succeeded().ShouldBe("same");
    }

    [Fact]
    public async Task Dispose_WhenOpensWait_ReleasesThemWithEio()
    {
        _rig.Image.AddFile("never", Encoding.ASCII.GetBytes("never"));
        _rig.ExpectAll();
        GatedContainer first = await _rig.MountAsync();
        GatedContainer second = await _rig.MountAsync();
        using ChildProcess one = ChildProcess.Start("cat", [first["never"]]);
        using ChildProcess two = ChildProcess.Start("cat", [second["never"]]);
        await _rig.WaitingAsync(2);

        first.Gate!.Dispose();
        (await one.WaitAsync(Patience)).ErrorOutput.ShouldContain("Input/output error");
        _rig.Gate.Dispose();
        (await two.WaitAsync(Patience)).ExitCode.ShouldBe(1);
    }

    [Fact]
    public async Task Trace_WhenContentsAreOpened_HasEachFirstOpenWithItsWait()
    {
        Digest here = _rig.Image.AddFile("here", Encoding.ASCII.GetBytes("here"));
        Digest late = _rig.Image.AddFile("late", Encoding.ASCII.GetBytes("late"));
        _rig.ExpectAll();
        _rig.Deliver(here);
        var lookups = new ConcurrentQueue<GateLookup>();
        GatedContainer container = await _rig.MountAsync(lookups.Enqueue);

        (await ProcessRunner.RunAsync("cat", [container["here"]])).Succeeded();
        using ChildProcess reader = ChildProcess.Start("cat", [container["late"]]);
        await _rig.WaitingAsync(1);
        _rig.Deliver(late);
        (await reader.WaitAsync(Patience)).Succeeded();

        lookups.Select(lookup => (lookup.Content, lookup.Outcome)).ShouldBe([(here, GateOutcome.Present), (late, GateOutcome.Arrived)]);
        lookups.First().Waited.ShouldBe(TimeSpan.Zero);
        lookups.Last().Waited.ShouldBeGreaterThan(TimeSpan.Zero);
    }

    [Fact]
    public async Task Fill_OfANewDirectory_LeavesTheKernelNothingToAskAboutItsFanoutDirectories()
    {
        using GateDirectory directory = _rig.Gate.CreateDirectory("filled");
        directory.Fill();

        // asked for now, it would be the 257th incarnation
        string inode = (await ProcessRunner.RunAsync("stat", ["--format", "%i", Path.Combine(directory.Path, "ff")])).Succeeded().Trim();
        inode.ShouldBe(GateNode.FanoutId(directory.Number, incarnation: 256, 0xff).ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>So many opens wait, and the kernel has forgotten the directories they wait in.</summary>
    private async Task ForgottenAsync(int count)
    {
        await _rig.WaitingAsync(count);
        await Probe.UntilAsync(() => _rig.Gate.InvalidationsSent == count, $"{count} fan-out directories forgotten");
    }
}
