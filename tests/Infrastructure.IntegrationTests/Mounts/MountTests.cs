using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Mounts;

public sealed class MountTests : IDisposable
{
    private readonly ScratchDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Probe_OnThisKernel_FindsTheBestModeAndLeavesNothing()
    {
        MountCapabilities found = await ProbeAsync(MountPreferences.Auto);

        found.Mode.ShouldNotBe(MountMode.DirectoryTree, found.Description);
        found.Erofs.ShouldNotBeNull();
        found.EarlyStart.ShouldBeTrue(string.Join('\n', found.Findings));
        found.SeesOpens.ShouldBeTrue(string.Join('\n', found.Findings));
    }

    public static TheoryData<MountMode?, ErofsBacking?, bool?> Demands => new()
    {
        { MountMode.SingleOverlay, ErofsBacking.File, true },
        { MountMode.SingleOverlay, ErofsBacking.Loop, true },
        { MountMode.NestedOverlay, ErofsBacking.File, true },
        { MountMode.NestedOverlay, ErofsBacking.Loop, null },
        { null, ErofsBacking.Loop, false },
        { MountMode.DirectoryTree, null, null },
    };

    [Theory]
    [MemberData(nameof(Demands))]
    public async Task Probe_OfADemand_GivesItAndSaysWhyItIsNotBetter(MountMode? mode, ErofsBacking? erofs, bool? earlyStart)
    {
        MountCapabilities found = await ProbeAsync(new MountPreferences(mode, erofs, earlyStart));

        found.Mode.ShouldBe(mode ?? MountMode.SingleOverlay);
        found.Erofs.ShouldBe(erofs);
        found.EarlyStart.ShouldBe(earlyStart ?? mode != MountMode.DirectoryTree);
        found.SeesOpens.ShouldBe(mode != MountMode.DirectoryTree);
        found.Shortcomings.Any(s => s.Contains("mount_mode is", StringComparison.Ordinal)).ShouldBe(mode is MountMode.NestedOverlay or MountMode.DirectoryTree);
        found.Shortcomings.Any(s => s.Contains("erofs is loop", StringComparison.Ordinal)).ShouldBe(erofs == ErofsBacking.Loop);
        found.Shortcomings.Any(s => s.Contains("early_start is off", StringComparison.Ordinal)).ShouldBe(earlyStart == false);
        found.Description.Contains("no early start", StringComparison.Ordinal).ShouldBe(!found.EarlyStart);
    }

    [Fact]
    public void Probe_WhenTheImageIsGarbage_FallsBackToTreesAndSaysWhy()
    {
        string scratch = _directory.Create("scratch");
        MountCapabilities found = MountCapabilities.Probe(scratch, new byte[8192], MountPreferences.Auto);
        found.Mode.ShouldBe(MountMode.DirectoryTree);
        found.EarlyStart.ShouldBeFalse();
        found.Shortcomings.Count(reason => reason.Contains("EROFS", StringComparison.Ordinal) && reason.Contains("does not work", StringComparison.Ordinal)).ShouldBe(2);
        Directory.Exists(scratch).ShouldBeFalse();
    }

    [Theory]
    [InlineData(MountMode.SingleOverlay, null, null, "mount_mode single-overlay")]
    [InlineData(MountMode.NestedOverlay, null, null, "mount_mode nested-overlay")]
    [InlineData(null, ErofsBacking.Loop, null, "erofs loop")]
    [InlineData(null, null, true, "early_start is on")]
    [InlineData(MountMode.DirectoryTree, null, true, "early_start is on")]
    public void Probe_OfADemandThatCannotBeMet_IsRefusedWithTheReasons(MountMode? mode, ErofsBacking? erofs, bool? earlyStart, string problem)
    {
        string scratch = _directory.Create("scratch");
        Error error = Should.Throw<FailureException>(() => MountCapabilities.Probe(scratch, new byte[8192], new MountPreferences(mode, erofs, earlyStart))).Error;
        error.Code.ShouldBe("Mount.ModeUnsupported");
        error.Kind.ShouldBe(ErrorKind.Unsupported);
        error.Message.ShouldContain(problem);
        error.Message.ShouldContain(mode == MountMode.DirectoryTree ? "mount_mode is directory-tree" : "does not work");
        Directory.Exists(scratch).ShouldBeFalse();
        MountTable.Read().ShouldNotContain(m => m.MountPoint.StartsWith(scratch, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(null, "", null)]
    [InlineData("auto", "auto", "auto")]
    public void Preferences_LeftOut_AreAuto(string? mode, string? erofs, string? earlyStart) =>
        MountPreferences.Parse(mode, erofs, earlyStart).Value.ShouldBe(MountPreferences.Auto);

    [Fact]
    public void Preferences_OfTheConfigurationsWords_AreRead()
    {
        MountPreferences.Parse("nested-overlay", "loop", "off").Value.ShouldBe(new MountPreferences(MountMode.NestedOverlay, ErofsBacking.Loop, false));
        MountPreferences.Parse("directory-tree", "file", "on").Value.ShouldBe(new MountPreferences(MountMode.DirectoryTree, ErofsBacking.File, true));
        Error error = MountPreferences.Parse("overlay", null, null).Error.ShouldNotBeNull();
        error.Kind.ShouldBe(ErrorKind.InvalidInput);
        error.Message.ShouldBe("mount_mode 'overlay' is not known: use auto, single-overlay, nested-overlay, directory-tree");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ErofsMount_FromFileOrLoop_ShowsTheImage(bool loop)
    {
        string image = _directory["probe.erofs"];
        File.WriteAllBytes(image, await ProbeImageAsync());
        string target = _directory.Create("mnt, with space");
        ErofsMounts.Mount(image, target, loop ? ErofsBacking.Loop : ErofsBacking.File);
        string device = "";
        try
        {
            MountTableEntry entry = MountTable.Find(target).ShouldNotBeNull();
            entry.FileSystemType.ShouldBe("erofs");
            entry.Source.StartsWith("/dev/loop", StringComparison.Ordinal).ShouldBe(loop);
            if (loop)
            {
                device = Path.GetFileName(entry.Source);
                File.ReadAllText($"/sys/block/{device}/loop/autoclear").ShouldBe("1\n");
                File.ReadAllText($"/sys/block/{device}/ro").ShouldBe("1\n");
            }

            new FileInfo(Path.Combine(target, MountCapabilities.ProbeFileName)).Length.ShouldBe(MountCapabilities.ProbeContent.Length);
        }
        finally
        {
            ErofsMounts.Unmount(target).ShouldBeTrue();
        }

        ErofsMounts.Unmount(target).ShouldBeFalse();
        MountTable.Find(target).ShouldBeNull();
        if (loop)
        {
            // somebody else may have taken the device since
            string backing = $"/sys/block/{device}/loop/backing_file";
            await Probe.UntilAsync(() => !File.Exists(backing) || !File.ReadAllText(backing).StartsWith(image, StringComparison.Ordinal), "the loop device is free again");
        }
    }

    [Fact]
    public void ErofsMount_OfAFileThatIsNone_SaysSo()
    {
        string image = _directory["garbage"];
        File.WriteAllBytes(image, new byte[8192]);
        Error error = Should.Throw<FailureException>(() => ErofsMounts.Mount(image, _directory.Create("mnt"), ErofsBacking.File)).Error;
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

    private async Task<MountCapabilities> ProbeAsync(MountPreferences preferences)
    {
        byte[] image = await ProbeImageAsync();
        string scratch = _directory.Create("scratch");
        MountCapabilities found = MountCapabilities.Probe(scratch, image, preferences);
        MountTable.Read().ShouldNotContain(m => m.MountPoint.StartsWith(scratch, StringComparison.Ordinal));
        Directory.Exists(scratch).ShouldBeFalse();
        return found;
    }

    private async Task<byte[]> ProbeImageAsync()
    {
        var image = new MetadataImage(_directory.Path);
        image.AddFile(MountCapabilities.ProbeFileName, MountCapabilities.ProbeContent.ToArray()).ShouldBe(MountCapabilities.ProbeDigest);
        return File.ReadAllBytes(await image.BuildAsync("probe-source.erofs"));
    }
}
