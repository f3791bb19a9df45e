using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.Tracing;
using Starlight.Infrastructure.WorkerImages;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>What a trace gets to know of a container on a complete image.</summary>
public sealed class RecordedRootsTests : IDisposable
{
    private static readonly Digest Name = Digest.Of("starlight"u8);
    private static readonly Digest Other = Digest.Of("another content"u8);

    private readonly RootsRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Theory]
    [InlineData(MountMode.SingleOverlay, ErofsBacking.File, true)]
    [InlineData(MountMode.SingleOverlay, ErofsBacking.Loop, true)]
    [InlineData(MountMode.NestedOverlay, ErofsBacking.File, true)]
    [InlineData(MountMode.NestedOverlay, ErofsBacking.Loop, true)]
    [InlineData(MountMode.SingleOverlay, ErofsBacking.File, false)]
    [InlineData(MountMode.NestedOverlay, ErofsBacking.Loop, false)]
    public void Record_OfACompleteTree_HasWhatWasOpenedInItsOrder(MountMode mode, ErofsBacking erofs, bool watched)
    {
        using OverlayRoots roots = _rig.Overlays(mode, erofs, seesOpens: watched);
        _rig.Complete();
        TraceRecorder recorder = Recorder();
        RootFilesystemLayers layers = roots.Attach(_rig.Tree, "one", recorder: recorder);
        layers.ShouldBe(roots.Attach(_rig.Tree, "one", recorder: recorder));
        using (Mounted container = Container("c1", layers))
        {
            for (int i = 0; i < 3; i++)
            {
                Tool.Run("cat", [Path.Combine(container.Target, "other")]).ShouldBe("another content");
            }

            File.WriteAllText(Path.Combine(container.Target, "new"), "of the container");
            Tool.Run("cat", [Path.Combine(container.Target, "new")]);
            Tool.Run("stat", [Path.Combine(container.Target, "etc/name")]);
            Tool.Run("ls", [container.Target]);
            recorder.Opened.Count.ShouldBeLessThanOrEqualTo(1, "looking at a name opens nothing");
            Tool.Run("cat", [Path.Combine(container.Target, "etc/name")]).ShouldBe("starlight");
            recorder.End().ShouldBeNull();
            Opens().ShouldBe([Other, Name]);
        }

        roots.Detach("one");
        _rig.Mounts().Where(m => m.MountPoint.Contains("/inner/", StringComparison.Ordinal)).ShouldBeEmpty();
    }

    /// <summary>On an overlay that cannot be asked for a file by its handle, all of these go wrong: cp empties the file, mv says ESTALE.</summary>
    [Fact]
    public void Record_OfAContainerThatLinksFilesOfTheImage_KeepsThemTheSame()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.SingleOverlay, seesOpens: true);
        _rig.Complete();
        TraceRecorder recorder = Recorder();
        using Mounted container = Container("c1", roots.Attach(_rig.Tree, "one", recorder: recorder));

        Tool.Bash(
            """
            before=$(stat -c %d:%i etc/name)
            echo more >> etc/name
            echo 2 > /proc/sys/vm/drop_caches
            [ "$(stat -c %d:%i etc/name)" = "$before" ]
            ln etc/name etc/link
            [ etc/name -ef etc/link ]
            if cp etc/name etc/link 2> /dev/null; then exit 1; fi
            ln other other.link
            mv other.link other 2> why || true
            grep -q 'are the same file' why
            """,
            container.Target).ShouldBeEmpty();

        File.ReadAllText(Path.Combine(container.Target, "etc/link")).ShouldBe("starlightmore\n");
        File.ReadAllText(Path.Combine(container.Target, "other")).ShouldBe("another content");
        recorder.End();
    }

    [Fact]
    public void Record_OfTwoContainersOfOneTree_KeepsThemApart()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.SingleOverlay, seesOpens: true);
        _rig.Complete();
        TraceRecorder first = Recorder();
        TraceRecorder second = Recorder();
        using (Mounted one = Container("c1", roots.Attach(_rig.Tree, "one", recorder: first)))
        using (Mounted two = Container("c2", roots.Attach(_rig.Tree, "two", recorder: second)))
        using (Mounted untraced = Container("c3", roots.Attach(_rig.Tree, "three")))
        {
            Tool.Run("cat", [Path.Combine(untraced.Target, "other")]);
            Tool.Run("cat", [Path.Combine(one.Target, "etc/name")]);
            Tool.Run("cat", [Path.Combine(two.Target, "other")]);
            first.End();
            second.End();
        }

        first.Opened.ShouldBe([Name]);
        second.Opened.ShouldBe([Other]);
    }

    [Fact]
    public void Record_OnceItHasEnded_HearsNothingMoreAndTheContainerGoesOn()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.SingleOverlay, seesOpens: true);
        _rig.Complete();
        TraceRecorder recorder = Recorder();
        RootFilesystemLayers layers = roots.Attach(_rig.Tree, "one", recorder: recorder);
        using Mounted container = Container("c1", layers);

        recorder.End();
        Tool.Run("cat", [Path.Combine(container.Target, "other")]).ShouldBe("another content");
        roots.Detach("one");
        Tool.Run("cat", [Path.Combine(container.Target, "etc/name")]).ShouldBe("starlight", "a running container keeps its own reference");

        recorder.Opened.ShouldBeEmpty();
        roots.Attach(_rig.Tree, "one").ShouldNotBe(layers, "nothing of it is in the way of the next");
    }

    [Fact]
    public void Record_AttachedAgainAfterADetach_WatchesTheNewOverlayAndLeavesTheOldOne()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.SingleOverlay, seesOpens: true);
        _rig.Complete();
        TraceRecorder recorder = Recorder();
        RootFilesystemLayers first = roots.Attach(_rig.Tree, "one", recorder: recorder);
        roots.Detach("one");

        RootFilesystemLayers second = roots.Attach(_rig.Tree, "one", recorder: recorder);
        second.ShouldNotBe(first);
        using (Mounted container = Container("c1", second))
        {
            Tool.Run("cat", [Path.Combine(container.Target, "other")]);
            recorder.End();
        }

        recorder.Opened.ShouldBe([Other]);
    }

    [Fact]
    public void Own_OfAnotherWatchOrAfterTheEnd_LeavesNoneBehind()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.SingleOverlay, seesOpens: true);
        _rig.Complete();
        TraceRecorder recorder = Recorder();
        string overlay = roots.Attach(_rig.Tree, "one", recorder: Recorder()).MetadataDirectory;
        WatchedOverlay NewWatch() => new(overlay, new ErofsContents(_rig.Tree.FilesystemImagePath), recorder);

        using WatchedOverlay first = NewWatch();
        using WatchedOverlay second = NewWatch();
        using WatchedOverlay late = NewWatch();
        recorder.Own(first);
        recorder.Own(second);
        (first.HasEnded, second.HasEnded).ShouldBe((true, false));
        recorder.End();
        second.HasEnded.ShouldBeTrue();
        recorder.Own(late);
        late.HasEnded.ShouldBeTrue("a trace that has ended owns nothing");
    }

    [Fact]
    public void Record_OfMoreContainersThanAreWatched_GoesThroughTheGate()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.SingleOverlay, seesOpens: true);
        _rig.Complete();
        TraceRecorder[] recorders = [.. Enumerable.Range(0, OverlayRoots.MaxWatched + 1).Select(_ => Recorder())];
        RootFilesystemLayers[] layers = [.. recorders.Select((r, i) => roots.Attach(_rig.Tree, $"{i}", recorder: r))];

        layers.Count(l => l.GateDirectory is null).ShouldBe(OverlayRoots.MaxWatched);
        using (Mounted container = Container("c1", layers[^1]))
        {
            Tool.Run("cat", [Path.Combine(container.Target, "other")]).ShouldBe("another content");
        }

        recorders[^1].Opened.ShouldBe([Other]);
        recorders[0].End();
        roots.Attach(_rig.Tree, "next", recorder: Recorder()).GateDirectory.ShouldBeNull("one has ended");
        foreach (TraceRecorder recorder in recorders)
        {
            recorder.End();
        }
    }

    [Fact]
    public void Record_WhenTheWatchFails_IsNotAnEndedTrace()
    {
        TraceRecorder recorder = Recorder();
        recorder.Record(Name);
        recorder.Fail(new IOException("reading opens failed"));
        recorder.End().ShouldBeOfType<IOException>();
    }

    [Fact]
    public async Task Record_BegunWhileContentsArrive_GoesOnThroughTheGate()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.SingleOverlay, seesOpens: true);
        TraceRecorder recorder = Recorder();
        RootFilesystemLayers early = roots.Attach(_rig.Tree, "one", recorder: recorder);
        early.GateDirectory.ShouldNotBeNull();
        using Mounted container = Container("c1", early);
        using (ChildProcess reader = ChildProcess.Start("cat", [Path.Combine(container.Target, "etc/name")]))
        {
            await Probe.UntilAsync(() => _rig.Gate.WaitingCount == 1, "the open waits");
            _rig.Complete();
            (await reader.WaitAsync(TimeSpan.FromSeconds(20))).Succeeded().ShouldBe("starlight");
        }

        roots.Attach(_rig.Tree, "one", recorder: recorder).ShouldBe(early);
        Tool.Run("cat", [Path.Combine(container.Target, "other")]);
        recorder.End();

        Opens().ShouldBe([Name, Other]);
        recorder.Summary.Waited.ShouldBeGreaterThan(TimeSpan.Zero);
    }

    [Fact]
    public void Record_WhereNothingCanBeSeen_IsEmptyAndTheContainerStarts()
    {
        using OverlayRoots roots = _rig.Overlays(MountMode.SingleOverlay, earlyStart: false);
        _rig.Complete();
        TraceRecorder recorder = Recorder();

        using Mounted container = Container("c1", roots.Attach(_rig.Tree, "one", recorder: recorder));

        Tool.Run("cat", [Path.Combine(container.Target, "other")]).ShouldBe("another content");
        recorder.End();
        recorder.Opened.ShouldBeEmpty();
    }

    private TraceRecorder Recorder()
    {
        TraceHeader header = new(Guid.NewGuid(), "registry/app:1", Name, "edge", Domain.Ordering.TraceSource.Optimizer, null, DateTimeOffset.UnixEpoch);
        return new TraceRecorder(header, new FileStream(Path.Combine(_rig["traces"], "trace"), FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete), TimeProvider.System);
    }

    /// <summary>The trace's contents, line by line.</summary>
    private IEnumerable<Digest> Opens() => File.ReadLines(Path.Combine(_rig["traces"], "trace")).Skip(1).Select(line => Digest.Parse("sha256:" + line.Split(' ')[0]).Value);

    private Mounted Container(string name, RootFilesystemLayers layers)
    {
        string data = string.Concat(new[] { layers.GateDirectory, layers.ObjectsDirectory, layers.TailDirectory }.OfType<string>().Select(d => "::" + d));
        return Mounted.On(
            _rig[name],
            (Type: "overlay", Source: "overlay", Options: ["index=off", "metacopy=off", .. layers.IsWatched ? ["xino=on"] : Array.Empty<string>(), $"lowerdir={layers.MetadataDirectory}{data}", $"upperdir={_rig[name + "-upper"]}", $"workdir={_rig[name + "-work"]}"]));
    }
}
