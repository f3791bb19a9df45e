using Starlight.Application.Abstractions.Snapshots;
using Starlight.Application.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Snapshots;
using Starlight.TestKit;
using WireMount = Starlight.Infrastructure.Containerd.Protocol.Types.Mount;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

/// <summary>Layers that Starlight provides: the remote-snapshotter protocol, and mounts of a real EROFS image with objects next to it.</summary>
public sealed class ProvidedLayerTests : IAsyncLifetime
{
    private const string Base = "sha256:base";
    private const string Top = "sha256:top";
    private const string Reference = "containerd.io/snapshot.ref";

    private SnapshotterUnderTest _snapshotter = null!;
    private ErofsTree? _image;

    public async Task InitializeAsync()
    {
        _snapshotter = await SnapshotterUnderTest.StartAsync();
        _snapshotter.Images.Chains[Base] = new RootFilesystemLayers("/nonexistent", null, null);
    }

    public async Task DisposeAsync()
    {
        _image?.Dispose();
        await _snapshotter.DisposeAsync();
    }

    [Fact]
    public async Task Prepare_OfAProvidedLayer_CommitsItAndAnswersAlreadyExists()
    {
        Error answer = await _snapshotter.PrepareAsync("extract-1 x", "", (Reference, Base), ("containerd.io/snapshot/cri.image-ref", "redis")).ShouldFailAsync(ErrorKind.AlreadyExists);

        answer.Code.ShouldBe("Snapshot.Provided");
        Info info = (await _snapshotter.ListAsync($"labels.\"{Reference}\"=={Base},parent==\"\"")).ShouldHaveSingleItem();
        info.Name.ShouldBe(Base);
        info.Kind.ShouldBe(Kind.Committed);
        info.Labels[Reference].ShouldBe(Base);
        info.Labels["containerd.io/snapshot/cri.image-ref"].ShouldBe("redis");
        await _snapshotter.StatAsync("extract-1 x").ShouldFailAsync(ErrorKind.NotFound);
        Directory.EnumerateFileSystemEntries(Path.Combine(_snapshotter.Root, "snapshots")).ShouldBeEmpty();
        RemoteLayerRequest asked = _snapshotter.Images.Asked.ShouldHaveSingleItem();
        asked.ChainId.ShouldBe(Base);
        asked.ParentChainId.ShouldBeNull();
        asked.Labels["containerd.io/snapshot/cri.image-ref"].ShouldBe("redis");
    }

    [Fact]
    public async Task Prepare_OfAProvidedLayerAgain_AnswersAtOnceAlsoAfterARestart()
    {
        await _snapshotter.PrepareAsync("k1", "", (Reference, Base)).ShouldFailAsync(ErrorKind.AlreadyExists);
        await _snapshotter.RestartAsync();

        await _snapshotter.PrepareAsync("k2", "", (Reference, Base)).ShouldFailAsync(ErrorKind.AlreadyExists);

        _snapshotter.Images.Asked.Count.ShouldBe(1);
        (await _snapshotter.ListAsync()).Count.ShouldBe(1);
    }

    [Fact]
    public async Task Prepare_OfAProvidedLayerByManyAtOnce_CommitsItOnce()
    {
        await Task.WhenAll(Enumerable.Range(0, 50).Select(i => _snapshotter.PrepareAsync($"k{i}", "", (Reference, Base)).ShouldFailAsync(ErrorKind.AlreadyExists)));

        (await _snapshotter.ListAsync()).ShouldHaveSingleItem().Name.ShouldBe(Base);
        _snapshotter.Images.Asked.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Prepare_OfALayerThatIsNotProvided_IsOrdinary()
    {
        (await _snapshotter.PrepareAsync("k", "", (Reference, "sha256:other")))[0].Type.ShouldBe("bind");
        await _snapshotter.CommitAsync("default/1/sha256:other", "k", (Reference, "sha256:other"));

        (await _snapshotter.StatAsync("default/1/sha256:other")).Labels[Reference].ShouldBe("sha256:other");
    }

    [Fact]
    public async Task Prepare_WhenAskingFails_IsOrdinary()
    {
        _snapshotter.Images.ProvidesFailure = new FailureException(new Error("Proxy.Unreachable", "no route to the proxy", ErrorKind.Unavailable));

        (await _snapshotter.PrepareAsync("k", "", (Reference, Base)))[0].Type.ShouldBe("bind");
    }

    [Fact]
    public async Task Prepare_OfAProvidedLayerOnAMissingParent_FailsWithoutAsking()
    {
        await _snapshotter.PrepareAsync("k", "missing", (Reference, Base)).ShouldFailAsync(ErrorKind.NotFound);

        _snapshotter.Images.Asked.ShouldBeEmpty();
    }

    [Fact]
    public async Task Prepare_OfAProvidedLayerOnParentsOfTwoNamespaces_GivesEachItsOwnSnapshot()
    {
        // Each containerd namespace unpacked the base for itself; containerd then looks for reference and parent together.
        _snapshotter.Images.Chains[Top] = new RootFilesystemLayers("/nonexistent", null, null);
        await _snapshotter.CommitLayerAsync("default/3/sha256:ordinary", "", "true");
        await _snapshotter.CommitLayerAsync("k8s.io/9/sha256:ordinary", "", "true");

        await _snapshotter.PrepareAsync("a", "default/3/sha256:ordinary", (Reference, Top)).ShouldFailAsync(ErrorKind.AlreadyExists);
        await _snapshotter.PrepareAsync("b", "k8s.io/9/sha256:ordinary", (Reference, Top)).ShouldFailAsync(ErrorKind.AlreadyExists);

        foreach (string parent in (string[])["default/3/sha256:ordinary", "k8s.io/9/sha256:ordinary"])
        {
            (await _snapshotter.ListAsync($"labels.\"{Reference}\"=={Top},parent==\"{parent}\"")).ShouldHaveSingleItem().Parent.ShouldBe(parent);
        }

        _snapshotter.Images.Asked.Select(asked => asked.ParentChainId).ShouldBe(["sha256:ordinary", "sha256:ordinary"]);
    }

    [Fact]
    public async Task Mount_OnAProvidedParent_ShowsTheImageAndTakesWritesInTheUpperDirectory()
    {
        await ProvideImageAsync();

        var mounts = await _snapshotter.PrepareAsync("c", Top);
        using (Mounted root = _snapshotter.Mount("c", mounts))
        {
            Tool.Bash("cat etc/hello; stat -c %s bin/tool; stat -c %U:%G .; chmod 700 bin/tool; echo new > new; rm empty", root.Target).ShouldBe("hello from an object\n27\ndaemon:sys\n");
            Tool.Bash("cat bin/tool; ls", root.Target).ShouldBe("the tool that does nothing\nbin\netc\nnew\n");
        }

        string home = Path.Combine(_snapshotter.Root, "snapshots");
        mounts.Single().Options.ShouldBe([
            "index=off", "metacopy=off", $"workdir={home}/3/work", $"upperdir={home}/3/fs", $"lowerdir={_image!.MetadataDirectory}::{_image.ObjectsDirectory}"]);
        (await _snapshotter.MountsAsync("c")).ShouldBe(mounts);
        File.ReadAllText($"{home}/3/fs/bin/tool").ShouldBe("the tool that does nothing\n");
        _snapshotter.Images.Attached.ShouldBe(["c"]);
        await _snapshotter.RemoveAsync("c");
        _snapshotter.Images.Attached.ShouldBeEmpty();
    }

    [Fact]
    public async Task Mount_WithOrdinaryLayersAboveTheProvided_StacksThemOverTheImage()
    {
        await ProvideImageAsync();
        await _snapshotter.CommitLayerAsync("l1", Top, "echo one > etc/hello; rm empty; echo l1 > l1");
        await _snapshotter.CommitLayerAsync("l2", "l1", "echo two > etc/hello");

        var active = await _snapshotter.PrepareAsync("c", "l2");
        var view = await _snapshotter.ViewAsync("v", "l2");

        string home = Path.Combine(_snapshotter.Root, "snapshots");
        string lower = $"lowerdir={home}/4/fs:{home}/3/fs:{_image!.MetadataDirectory}::{_image.ObjectsDirectory}";
        active.Single().Options.ShouldContain(lower);
        view.Single().Options.ShouldBe(["index=off", "ro", lower]);
        foreach (var mounts in new[] { active, view })
        {
            using Mounted root = _snapshotter.Mount("m", mounts);
            Tool.Bash("cat etc/hello bin/tool; ls; stat -c %U:%G .", root.Target).ShouldBe("two\nthe tool that does nothing\nbin\netc\nl1\ndaemon:sys\n");
        }
    }

    [Fact]
    public async Task Mount_OfAnIncompleteImage_PutsTheGateBeforeTheObjectsAndTheTailLast()
    {
        await ProvideImageAsync();
        string gate = Path.Combine(_snapshotter.Work, "gate");
        string tail = Path.Combine(_snapshotter.Work, "tail");
        Directory.CreateDirectory(gate);
        Directory.CreateDirectory(tail);
        _snapshotter.Images.Chains[Top] = new RootFilesystemLayers(_image!.MetadataDirectory, gate, _image.ObjectsDirectory, tail);

        var mounts = await _snapshotter.PrepareAsync("c", Top);

        mounts.Single().Options[^1].ShouldBe($"lowerdir={_image.MetadataDirectory}::{gate}::{_image.ObjectsDirectory}::{tail}");
        using Mounted root = _snapshotter.Mount("c", mounts);
        Tool.Bash("cat etc/hello", root.Target).ShouldBe("hello from an object\n");
    }

    [Fact]
    public async Task Mount_OfAMetadataDirectoryThatIsComplete_IsOrdinaryOverlayOrABind()
    {
        string tree = Path.Combine(_snapshotter.Work, "tree");
        Directory.CreateDirectory(tree);
        await File.WriteAllTextAsync(Path.Combine(tree, "f"), "plain");
        await ProvideImageAsync();
        _snapshotter.Images.Chains[Top] = new RootFilesystemLayers(tree, null, null);

        var active = (await _snapshotter.PrepareAsync("a", Top)).Single();
        var view = (await _snapshotter.ViewAsync("v", Top)).Single();

        active.Options[^1].ShouldBe($"lowerdir={tree}");
        active.Options.ShouldNotContain("xino=on");
        _snapshotter.Images.Chains[Top] = new RootFilesystemLayers(tree, null, null) { IsWatched = true };
        (await _snapshotter.PrepareAsync("watched", Top)).Single().Options.ShouldContain("xino=on");
        view.Type.ShouldBe("bind");
        view.Source.ShouldBe(tree);
        view.Options.ShouldBe(["ro", "rbind"]);
        using Mounted root = _snapshotter.Mount("a", [active]);
        File.ReadAllText(Path.Combine(root.Target, "f")).ShouldBe("plain");
    }

    [Fact]
    public async Task Traces_AreOfContainers_NotOfViewsOrLayers()
    {
        await ProvideImageAsync();

        await _snapshotter.ViewAsync("view", Top);
        await _snapshotter.PrepareAsync("container", Top);
        await _snapshotter.Client.MountsAsync("container");
        await _snapshotter.PrepareAsync("scratch");

        _snapshotter.Traces.AskedAbout.ShouldBe(["container"]);
    }

    [Fact]
    public async Task View_OfAProvidedParent_IsReadOnly()
    {
        await ProvideImageAsync();

        using Mounted root = _snapshotter.Mount("v", await _snapshotter.ViewAsync("v", Top));

        Tool.Bash("cat etc/hello", root.Target).ShouldBe("hello from an object\n");
        Should.Throw<IOException>(() => File.WriteAllText(Path.Combine(root.Target, "x"), "x"));
    }

    [Fact]
    public async Task Prepare_WhenTheImageCannotBeAttached_LeavesNothing()
    {
        await ProvideImageAsync();
        _snapshotter.Images.AttachFailure = new Error("Image.Gone", "the image is gone", ErrorKind.Unavailable);

        await _snapshotter.PrepareAsync("c", Top).ShouldFailAsync(ErrorKind.Unavailable);

        await _snapshotter.StatAsync("c").ShouldFailAsync(ErrorKind.NotFound);
        Directory.EnumerateFileSystemEntries(Path.Combine(_snapshotter.Root, "snapshots")).ShouldBeEmpty();
        _snapshotter.Images.AttachFailure = null;
        (await _snapshotter.PrepareAsync("c", Top)).ShouldNotBeEmpty();
    }

    [Fact]
    public async Task Mounts_OfASnapshotRemovedMeanwhile_LeavesNothingAttached()
    {
        await ProvideImageAsync();
        await _snapshotter.PrepareAsync("c", Top);
        _snapshotter.Images.OnAttach = () => _snapshotter.RemoveAsync("c");

        await _snapshotter.MountsAsync("c").ShouldFailAsync(ErrorKind.NotFound);

        _snapshotter.Images.Attached.ShouldBeEmpty();
    }

    [Fact]
    public async Task Mounts_AfterARestart_AttachesAgain()
    {
        await ProvideImageAsync();
        var mounts = await _snapshotter.PrepareAsync("c", Top);
        _snapshotter.Images.Detach("c");
        await _snapshotter.RestartAsync();

        (await _snapshotter.MountsAsync("c")).ShouldBe(mounts);
        _snapshotter.Images.Attached.ShouldBe(["c"]);
    }

    [Fact]
    public async Task Commit_OnAProvidedParent_DetachesAndMakesAnOrdinaryLayer()
    {
        await ProvideImageAsync();
        await _snapshotter.CommitLayerAsync("mine", Top, "echo mine > mine");

        _snapshotter.Images.Attached.ShouldBeEmpty();
        (await _snapshotter.StatAsync("mine")).Parent.ShouldBe(Top);
        (await _snapshotter.UsageAsync("mine")).Inodes.ShouldBe(2);
    }

    [Fact]
    public async Task Remove_OfTheLastProvidedSnapshotOfAChain_ReleasesIt()
    {
        await ProvideImageAsync();
        await _snapshotter.PrepareAsync("c", Top);

        await _snapshotter.RemoveAsync(Top).ShouldFailAsync(ErrorKind.FailedPrecondition);
        await _snapshotter.RemoveAsync("c");
        _snapshotter.Images.Released.ShouldBeEmpty();
        await _snapshotter.RemoveAsync(Top);
        await _snapshotter.RemoveAsync(Base);

        _snapshotter.Images.Released.ShouldBe([Top, Base]);
        (await _snapshotter.ListAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task Usage_OfAProvidedLayer_IsItsImages()
    {
        await ProvideImageAsync();

        UsageResponse usage = await _snapshotter.UsageAsync(Top);

        usage.Size.ShouldBe(12345);
        usage.Inodes.ShouldBe(67);
    }

    [Fact]
    public async Task Update_OfAProvidedLayer_KeepsTheReference()
    {
        await ProvideImageAsync();

        (await _snapshotter.UpdateAsync(new Info { Name = Top, Labels = { ["x"] = "y" } })).Labels[Reference].ShouldBe(Top);
    }

    [Fact]
    public async Task Mount_OfAPathThatOverlayCannotTake_IsRefused()
    {
        await ProvideImageAsync();
        _snapshotter.Images.Chains[Top] = new RootFilesystemLayers("/a:b", null, "/objects");

        (await _snapshotter.PrepareAsync("c", Top).ShouldFailAsync(ErrorKind.Unsupported)).Message.ShouldContain("/a:b");
    }

    [Fact]
    public async Task Mount_OfMoreLayersThanOptionsHold_HasTheImageInOneDirectory()
    {
        await ProvideImageAsync();
        _snapshotter.Images.OneDirectory = _ => "/one";
        string parent = Top;
        for (int i = 0; i < 120; i++)
        {
            IReadOnlyList<WireMount> mounts = await _snapshotter.PrepareAsync($"k{i}", parent);
            string lower = mounts.ShouldHaveSingleItem().Options.Single(o => o.StartsWith("lowerdir=", StringComparison.Ordinal));
            string options = string.Join(',', mounts[0].Options);

            // a list that containerd cannot shorten is short; one that is long it can
            lower.EndsWith("/one", StringComparison.Ordinal).ShouldBe(!lower.Contains("::", StringComparison.Ordinal));
            (lower.Contains("::", StringComparison.Ordinal) && options.Length > 4095).ShouldBeFalse();
            if (i == 119)
            {
                options.Length.ShouldBeGreaterThan(4095);
            }

            await _snapshotter.CommitAsync($"l{i}", $"k{i}");
            parent = $"l{i}";
        }
    }

    /// <summary>A provided image of two layers, committed as containerd would have them.</summary>
    private async Task ProvideImageAsync()
    {
        string directory = Path.Combine(_snapshotter.Work, "image");
        Directory.CreateDirectory(directory);
        _image = new ErofsTree(
            directory,
            new Dictionary<string, string> { ["etc/hello"] = "hello from an object\n", ["bin/tool"] = "the tool that does nothing\n", ["empty"] = "" },
            "chown 1:3 . && chmod 755 bin/tool");
        _snapshotter.Images.Chains[Top] = new RootFilesystemLayers(_image.MetadataDirectory, null, _image.ObjectsDirectory);
        await _snapshotter.PrepareAsync("e1", "", (Reference, Base)).ShouldFailAsync(ErrorKind.AlreadyExists);
        await _snapshotter.PrepareAsync("e2", Base, (Reference, Top)).ShouldFailAsync(ErrorKind.AlreadyExists);
    }
}
