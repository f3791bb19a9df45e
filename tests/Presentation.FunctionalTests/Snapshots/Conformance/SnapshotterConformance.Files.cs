using System.Globalization;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Snapshots.Conformance;

/// <content>What layers do to files, against a plain directory that gets the same changes: the cases that earlier layering models got wrong (testsuite/issues.go).</content>
public abstract partial class SnapshotterConformance
{
    [Fact]
    public Task Layers_ThatUpdateFiles_ShowTheUpdate() => ShouldEqualAPlainDirectoryAsync(
        "mkdir -m 700 etc; echo 10.0.0.1 > etc/hosts; echo PATH=/usr/bin > etc/profile; echo grows > etc/log",
        "echo 10.0.0.2 > etc/hosts; chmod 666 etc/profile; mkdir -m 700 root; echo PATH=/usr/sbin > root/.bashrc; echo more >> etc/log",
        "echo 10.0.0.3 > etc/hosts; truncate -s 2 etc/log; touch -d @1 etc/profile");

    [Fact]
    public Task Layers_ThatReplaceADirectory_HideWhatWasInIt() => ShouldEqualAPlainDirectoryAsync(
        "mkdir -m 700 lib; touch lib/hidden; echo x > lib/file",
        "rm -r lib; mkdir -m 700 lib; touch lib/not-hidden",
        "touch lib/newfile",
        "rm -r lib; echo 'a file now' > lib",
        "rm lib; mkdir lib; touch lib/again");

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
        "echo foo > foo; echo foobar > foobar; ln -s foo link; mkdir empty",
        "rm foobar link; rmdir empty",
        "true",
        "echo back > foobar");

    [Fact]
    public Task Layers_ThatMoveAndLinkFilesFromBelow_ShowThemAtTheNewPlace() => ShouldEqualAPlainDirectoryAsync(
        "mkdir dir1 dir2; echo Hello > dir1/f1; echo more > dir2/f2; chmod 4755 dir2/f2",
        "mkdir dir3; mv dir1/f1 dir3/f1; rmdir dir1; ln dir2/f2 dir3/f2; rm dir2/f2");

    [Fact]
    public Task Layers_ThatRename_ShowTheNewNames() => ShouldEqualAPlainDirectoryAsync(
        "mkdir -m 700 dir1 somefiles; echo first > somefiles/f1; echo boring > somefiles/f2; echo in > dir1/file",
        "mv dir1 dir2; echo new > somefiles/f1-overwrite; mv somefiles/f1-overwrite somefiles/f1; mv somefiles/f2 somefiles/f3");

    [Fact]
    public Task Layers_WithOtherThanFiles_KeepThem() => ShouldEqualAPlainDirectoryAsync(
        "mkfifo pipe; mknod null c 1 3; ln -s /nowhere dangling; mkdir -m 1777 tmp",
        "rm pipe; mkfifo -m 600 pipe; rm dangling; ln -s pipe dangling; chmod 755 tmp; chown 3:4 null");

    [Fact]
    public async Task Prepare_WithoutParent_HasARootOfMode0755()
    {
        using Mounted mounted = Snapshots.Mount("m", await Snapshots.PrepareAsync("k"));

        Tool.Bash("stat -c %a .", mounted.Target).Trim().ShouldBe("755");
    }

    [Fact]
    public async Task Prepare_OnAParentWhoseRootHasAnotherOwner_InheritsTheOwner()
    {
        await _target.CommitLowestAsync("p", "chown 123:456 .");
        await Snapshots.CommitLayerAsync("q", "p", "true");

        foreach (string parent in (string[])["p", "q"])
        {
            using Mounted mounted = Snapshots.Mount("m", await Snapshots.PrepareAsync($"a{parent}", parent));
            Tool.Bash("stat -c %u:%g .", mounted.Target).Trim().ShouldBe("123:456");
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task View_OfLayers_RefusesWrites(int layers)
    {
        await _target.CommitLowestAsync("l1", "echo x > x");
        for (int i = 2; i <= layers; i++)
        {
            await Snapshots.CommitLayerAsync($"l{i}", $"l{i - 1}", "true");
        }

        using Mounted view = Snapshots.Mount("view", await Snapshots.ViewAsync("v", $"l{layers}"));

        Should.Throw<IOException>(() => File.WriteAllText(Path.Combine(view.Target, "testfile"), "x")).Message.ShouldContain("Read-only");
        Tool.Bash("cat x", view.Target).ShouldBe("x\n");
    }

    [Fact]
    public async Task Layers_128_ShowAllOfThem()
    {
        const int Layers = 128;
        string flat = Directory.CreateDirectory(Path.Combine(_target.Work, "flat")).FullName;
        string parent = "";
        for (int i = 0; i < Layers; i++)
        {
            string script = string.Create(
                CultureInfo.InvariantCulture, $"mkdir -p addhere; rm -rf onlyme; mkdir onlyme; echo {i} was here > overwriteme; echo same > addhere/file-{i}; echo mine > onlyme/file-{i}");
            Tool.Bash(script, flat);
            await CommitAsync($"l{i}", parent, script);
            parent = $"l{i}";
        }

        using Mounted view = Snapshots.Mount("view", await Snapshots.ViewAsync("v", parent));

        DirectoryListing.Of(view.Target).ShouldBe(DirectoryListing.Of(flat));
    }

    private Task CommitAsync(string name, string parent, string script) =>
        parent.Length == 0 ? _target.CommitLowestAsync(name, script) : Snapshots.CommitLayerAsync(name, parent, script);

    /// <summary>Commits one layer per script, and after each compares what a container and a view would see with a directory in which the scripts ran one after the other.</summary>
    private async Task ShouldEqualAPlainDirectoryAsync(params string[] scripts)
    {
        string flat = Directory.CreateDirectory(Path.Combine(_target.Work, "flat")).FullName;
        string parent = "";
        for (int i = 0; i < scripts.Length; i++)
        {
            Tool.Bash(scripts[i], flat);
            await CommitAsync($"l{i}", parent, scripts[i]);
            parent = $"l{i}";
            string expected = DirectoryListing.Of(flat);
            using Mounted next = Snapshots.Mount($"active{i}", await Snapshots.PrepareAsync($"active{i}", parent));
            DirectoryListing.Of(next.Target).ShouldBe(expected);
            using Mounted view = Snapshots.Mount($"view{i}", await Snapshots.ViewAsync($"view{i}", parent));
            DirectoryListing.Of(view.Target).ShouldBe(expected);
        }
    }
}
