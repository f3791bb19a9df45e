using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Mounts;

public sealed class MountTests : IDisposable
{
    private readonly ScratchDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Probe_OnThisKernel_FindsAModeAndLeavesNothing()
    {
        byte[] image = await ProbeImageAsync();
        string scratch = _directory.Create("scratch");

        MountCapabilities found = MountCapabilities.Probe(scratch, image);

        found.Mode.ShouldNotBe(MountMode.DirectoryTree, string.Join('\n', found.Reasons));
        (found.FileBackedErofs || found.LoopErofs).ShouldBeTrue();
        found.Gate.ShouldBeTrue(string.Join('\n', found.Reasons));
        found.Mode.ShouldBe(found.WritableDataLayers ? MountMode.SingleOverlay : MountMode.NestedOverlay);
        found.NestedDataLayers.ShouldBeTrue(string.Join('\n', found.Reasons));
        MountTable.Read().ShouldNotContain(m => m.MountPoint.StartsWith(scratch, StringComparison.Ordinal));
        Directory.Exists(scratch).ShouldBeFalse();
    }

    [Fact]
    public void Probe_WhenTheImageIsGarbage_FallsBackToTreesAndSaysWhy()
    {
        string scratch = _directory.Create("scratch");
        MountCapabilities found = MountCapabilities.Probe(scratch, new byte[8192]);
        found.Mode.ShouldBe(MountMode.DirectoryTree);
        found.Reasons.Count(reason => reason.Contains("EROFS", StringComparison.Ordinal) && reason.Contains("does not work", StringComparison.Ordinal)).ShouldBe(2);
        Directory.Exists(scratch).ShouldBeFalse();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ErofsMount_FromFileOrLoop_ShowsTheImage(bool loop)
    {
        string image = _directory["probe.erofs"];
        File.WriteAllBytes(image, await ProbeImageAsync());
        string target = _directory.Create("mnt, with space");
        if (loop)
        {
            ErofsMounts.MountLoop(image, target);
        }
        else
        {
            ErofsMounts.Mount(image, target);
        }

        try
        {
            MountTableEntry entry = MountTable.Find(target).ShouldNotBeNull();
            entry.FileSystemType.ShouldBe("erofs");
            entry.Source.StartsWith("/dev/loop", StringComparison.Ordinal).ShouldBe(loop);
            new FileInfo(Path.Combine(target, MountCapabilities.ProbeFileName)).Length.ShouldBe(MountCapabilities.ProbeContent.Length);
        }
        finally
        {
            ErofsMounts.Unmount(target).ShouldBeTrue();
        }

        ErofsMounts.Unmount(target).ShouldBeFalse();
        MountTable.Find(target).ShouldBeNull();
    }

    [Fact]
    public void ErofsMount_OfAFileThatIsNone_SaysSo()
    {
        string image = _directory["garbage"];
        File.WriteAllBytes(image, new byte[8192]);
        Error error = Should.Throw<FailureException>(() => ErofsMounts.Mount(image, _directory.Create("mnt"))).Error;
        error.Code.ShouldBe("Mount.Failed");
        error.Message.ShouldContain(image);
    }

    [Fact]
    public void MountTable_OfEscapedAndOptionalFields_IsRead()
    {
        IReadOnlyList<MountTableEntry> entries = MountTable.Parse(
            """
            36 35 98:0 /mnt1 /mnt\0402\134x rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue
            37 35 0:9 / /a rw - fuse.starlight starlight ro
            broken line
            38 35 0:9 / /b rw - tmpfs

            """);
        entries.ShouldBe(
        [
            new MountTableEntry(36, 35, "/mnt 2\\x", "rw,noatime", "ext3", "/dev/root", "rw,errors=continue"),
            new MountTableEntry(37, 35, "/a", "rw", "fuse.starlight", "starlight", "ro"),
        ]);
    }

    private async Task<byte[]> ProbeImageAsync()
    {
        var image = new MetadataImage(_directory.Path);
        image.AddFile(MountCapabilities.ProbeFileName, MountCapabilities.ProbeContent.ToArray()).ShouldBe(MountCapabilities.ProbeDigest);
        return File.ReadAllBytes(await image.BuildAsync("probe-source.erofs"));
    }
}
