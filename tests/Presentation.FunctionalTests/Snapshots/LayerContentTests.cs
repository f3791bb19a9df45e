using System.Globalization;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

/// <summary>
/// What layers do to files, against a plain directory that gets the same changes: the cases that earlier layering models got wrong (containerd snapshots/testsuite/issues.go).
/// </summary>
public sealed class LayerContentTests : IAsyncLifetime
{
    private SnapshotterUnderTest _snapshotter = null!;

    public async Task InitializeAsync() => _snapshotter = await SnapshotterUnderTest.StartAsync();

    public async Task DisposeAsync() => await _snapshotter.DisposeAsync();

    [Fact]
    public Task Layers_ThatUpdateFiles_ShowTheUpdate() => ShouldEqualAPlainDirectoryAsync(
        "mkdir -m 700 etc; echo 10.0.0.1 > etc/hosts; echo PATH=/usr/bin > etc/profile",
        "echo 10.0.0.2 > etc/hosts; chmod 666 etc/profile; mkdir -m 700 root; echo PATH=/usr/sbin > root/.bashrc");

    [Fact]
    public Task Layers_ThatReplaceADirectory_HideWhatWasInIt() => ShouldEqualAPlainDirectoryAsync(
        "mkdir -m 700 lib; touch lib/hidden",
        "rm -r lib; mkdir -m 700 lib; touch lib/not-hidden",
        "touch lib/newfile");

    [Fact]
    public Task Layers_ThatChangeOwners_KeepThem() => ShouldEqualAPlainDirectoryAsync(
        "mkdir -m 700 -p opt/a/b; echo hello > opt/a/b/file.txt",
        "chown -R 1:1 opt");

    [Fact]
    public Task Layers_ThatChangeDirectoryOwnersAndModes_KeepThem() => ShouldEqualAPlainDirectoryAsync(
        "mkdir -m 700 dir1 dir2 dir3 dir4 dir5; echo x > dir4/f1; echo x > dir5/f1; chown 1:1 dir1 dir2 dir3 dir5 dir5/f1",
        "chown 0:0 dir2; rm -r dir3; chown 1:1 dir4 dir4/f1",
        "mkdir -m 700 dir3; chown 1:1 dir3; rm -r dir5; mkdir -m 755 dir5; chown 1:1 dir5");

    [Fact]
    public Task Layers_ThatDeleteFiles_DoNotShowThem() => ShouldEqualAPlainDirectoryAsync(
        "echo foo > foo; echo foobar > foobar",
        "rm foobar",
        "true");

    [Fact]
    public Task Layers_ThatMoveAndLinkFilesFromBelow_ShowThemAtTheNewPlace() => ShouldEqualAPlainDirectoryAsync(
        "mkdir dir1 dir2; echo Hello > dir1/f1; echo more > dir2/f2",
        "mkdir dir3; mv dir1/f1 dir3/f1; rmdir dir1; ln dir2/f2 dir3/f2; rm dir2/f2");

    [Fact]
    public Task Layers_ThatRename_ShowTheNewNames() => ShouldEqualAPlainDirectoryAsync(
        "mkdir -m 700 dir1 somefiles; echo first > somefiles/f1; echo boring > somefiles/f2",
        "mv dir1 dir2; echo new > somefiles/f1-overwrite; mv somefiles/f1-overwrite somefiles/f1; mv somefiles/f2 somefiles/f3");

    [Fact]
    public async Task Prepare_WithoutParent_HasARootOfMode0755()
    {
        using Mounted mounted = _snapshotter.Mount("m", await _snapshotter.PrepareAsync("k"));

        Tool.Bash("stat -c %a .", mounted.Target).Trim().ShouldBe("755");
    }

    [Fact]
    public async Task Prepare_OnAParentWhoseRootHasAnotherOwner_InheritsTheOwner()
    {
        await _snapshotter.CommitLayerAsync("p", "", "chown 123:456 .");

        using Mounted mounted = _snapshotter.Mount("m", await _snapshotter.PrepareAsync("k", "p"));

        Tool.Bash("stat -c %u:%g .", mounted.Target).Trim().ShouldBe("123:456");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task View_OfLayers_RefusesWrites(int layers)
    {
        for (int i = 1; i <= layers; i++)
        {
            await _snapshotter.CommitLayerAsync($"l{i}", i == 1 ? "" : $"l{i - 1}", "true");
        }

        using Mounted view = _snapshotter.Mount("view", await _snapshotter.ViewAsync("v", $"l{layers}"));

        Should.Throw<IOException>(() => File.WriteAllText(Path.Combine(view.Target, "testfile"), "x")).Message.ShouldContain("Read-only");
    }

    [Fact]
    public async Task Layers_128OnTopOfEachOther_MountAsOne()
    {
        string flat = Path.Combine(_snapshotter.Work, "flat");
        Directory.CreateDirectory(flat);
        string parent = "";
        for (int i = 0; i < 128; i++)
        {
            string script = string.Create(CultureInfo.InvariantCulture, $"mkdir -p ADDHERE; rm -rf ONLYME; mkdir ONLYME; echo {i} > overwriteme; echo same > ADDHERE/file-{i}; echo mine > ONLYME/file-{i}");
            Tool.Bash(script, flat);
            await _snapshotter.CommitLayerAsync($"l{i}", parent, script);
            parent = $"l{i}";
        }

        using Mounted view = _snapshotter.Mount("view", await _snapshotter.ViewAsync("v", parent));

        DirectoryListing.Of(view.Target).ShouldBe(DirectoryListing.Of(flat));
    }

    /// <summary>Commits one layer per script, and after each compares what the next snapshot shows with a directory the scripts ran in one after the other.</summary>
    private async Task ShouldEqualAPlainDirectoryAsync(params string[] scripts)
    {
        string flat = Path.Combine(_snapshotter.Work, "flat");
        Directory.CreateDirectory(flat);
        string parent = "";
        for (int i = 0; i < scripts.Length; i++)
        {
            Tool.Bash(scripts[i], flat);
            await _snapshotter.CommitLayerAsync($"l{i}", parent, scripts[i]);
            parent = $"l{i}";
            using Mounted next = _snapshotter.Mount($"check{i}", await _snapshotter.PrepareAsync($"check{i}", parent));
            DirectoryListing.Of(next.Target).ShouldBe(DirectoryListing.Of(flat));
        }

        using Mounted view = _snapshotter.Mount("view", await _snapshotter.ViewAsync("view", parent));
        DirectoryListing.Of(view.Target).ShouldBe(DirectoryListing.Of(flat));
    }
}
