using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;
using Starlight.Infrastructure.Snapshots;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Snapshots;

public sealed class DirectoryTreeTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void Delete_OfWhateverAContainerLeaves_DeletesItAndNothingElse()
    {
        Tool.Bash(
            """
            mkdir -p tree/a/b tree/.delete-0/x tree/empty outside; echo keep > outside/keep
            ln -s ../outside tree/link; ln -s /nonexistent tree/dangling; mkfifo tree/a/fifo; mknod tree/whiteout c 0 0
            touch "$(printf 'tree/a/\377\376bytes')"; mkdir -p "$(printf 'tree/a/\377dir/deeper')"; touch 'tree/a/b/with
            newline'; chmod 000 tree/a/b; mkdir -p tree/work/work; chmod 000 tree/work/work
            """,
            _scratch.Path);

        DirectoryTree.Delete(_scratch["tree"]);

        Tool.Bash("find . | sort", _scratch.Path).ShouldBe(".\n./outside\n./outside/keep\n");
    }

    [Fact]
    public void Delete_OfDirectoriesDeeperThanAPathCanName_DeletesThem()
    {
        Directory.CreateDirectory(_scratch["tree"]);
        Tool.Run("python3", ["-c", "import os\nfor i in range(5000):\n os.mkdir('directory'); os.chdir('directory')\nopen('f','w')"], _scratch["tree"]);

        DirectoryTree.Delete(_scratch["tree"]);

        Directory.Exists(_scratch["tree"]).ShouldBeFalse();
    }

    [Fact]
    public void Delete_OfNothingOrAFile_IsFine()
    {
        File.WriteAllText(_scratch["file"], "x");

        DirectoryTree.Delete(_scratch["missing"]);
        DirectoryTree.Delete(_scratch["file"]);

        File.Exists(_scratch["file"]).ShouldBeFalse();
    }

    [Fact]
    public void Measure_AgreesWithDu()
    {
        Tool.Bash(
            "mkdir -p a/b c; head -c 300000 /dev/urandom > a/f; ln a/f c/g; truncate -s 1G a/b/sparse; ln -s f a/l; touch \"$(printf '\\377x')\"; sync a/f", _scratch.Path);
        long blocks = long.Parse(Tool.Bash("du -s --block-size=512 . | cut -f1", _scratch.Path), System.Globalization.CultureInfo.InvariantCulture);
        long inodes = long.Parse(Tool.Bash("du -s --inodes . | cut -f1", _scratch.Path), System.Globalization.CultureInfo.InvariantCulture);

        DirectoryTree.Measure(_scratch.Path, CancellationToken.None).ShouldBe(new SnapshotUsage(blocks * 512, inodes));
    }

    [Fact]
    public void Measure_OfAMissingDirectory_FailsAsNotFound() =>
        Should.Throw<FailureException>(() => DirectoryTree.Measure(_scratch["missing"], CancellationToken.None)).Error.Kind.ShouldBe(ErrorKind.NotFound);

    [Fact]
    public void Measure_OfDirectoriesNestedTooDeep_FailsClearly()
    {
        Directory.CreateDirectory(_scratch["tree"]);
        Tool.Run("python3", ["-c", "import os\nfor i in range(3000):\n os.mkdir('d'); os.chdir('d')"], _scratch["tree"]);

        Should.Throw<FailureException>(() => DirectoryTree.Measure(_scratch["tree"], CancellationToken.None)).Error.Code.ShouldBe("SnapshotDirectory.TooDeep");

        DirectoryTree.Delete(_scratch["tree"]); // too deep for the scratch directory's own removal
    }

    [Fact]
    public void Measure_WhenCancelled_Stops() =>
        Should.Throw<OperationCanceledException>(() => DirectoryTree.Measure(_scratch.Path, new CancellationToken(canceled: true)));

    [Theory]
    [InlineData("with:colon")]
    [InlineData("with,comma")]
    [InlineData("with\\backslash")]
    public void Open_OfARootThatMountOptionsCannotName_IsRefused(string name) =>
        Should.Throw<FailureException>(() => SnapshotDirectories.Open(_scratch[name])).Error.Code.ShouldBe("SnapshotDirectory.PathNotMountable");

    [Theory]
    [InlineData("         0          0 4294967295\n", false)]
    [InlineData("         0     100000      65536\n", true)]
    [InlineData("0 1000 1\n1 100000 65536\n", true)]
    public void RunsInUserNamespace_ByUidMap(string map, bool expected) => OverlayProbe.RunsInUserNamespace(map).ShouldBe(expected);
}
