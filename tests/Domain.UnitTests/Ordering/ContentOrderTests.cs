using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.Content;
using Starlight.Domain.Ordering;

namespace Starlight.Domain.UnitTests.Ordering;

public sealed class ContentOrderTests
{
    private const string Loader = "/lib64/ld-linux-x86-64.so.2";

    [Fact]
    public void ForImage_WhenNoCommand_IsCanonicalOrder()
    {
        SmallImage image = new SmallImage().File("/b", "b").File("/a/z", "z").File("/a.txt", "t").File("/empty", "").File("/c", "b");

        image.All([]).ShouldBe(["/a/z", "/a.txt", "/b"]);
        image.Order([]).HotCount.ShouldBe(0);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    [InlineData(false, true)]
    public void ForImage_WhenProgramIsElf_BringsLoaderAndLibrariesBreadthFirst(bool wide, bool bigEndian)
    {
        byte[] Elf(string? interpreter, params string[] needed) => ElfSample.Build(interpreter, needed, wide: wide, bigEndian: bigEndian);
        SmallImage image = new SmallImage()
            .Program("/usr/bin/app", Elf(Loader, "liba.so.1", "libc.so.6"))
            .Program("/usr/lib64/ld.so", "the loader")
            .Symlink("/lib64", "usr/lib64")
            .Symlink("/usr/lib64/ld-linux-x86-64.so.2", "ld.so")
            .File("/etc/ld.so.cache", "cache")
            .File("/usr/lib/x86_64-linux-gnu/liba.so.1.2", Elf(null, "libb.so.2", "libc.so.6"), 0x1a4)
            .Symlink("/usr/lib/x86_64-linux-gnu/liba.so.1", "liba.so.1.2")
            .File("/usr/lib/x86_64-linux-gnu/libb.so.2", Elf(null, "libmissing.so"), 0x1a4)
            .File("/usr/lib64/libc.so.6", Elf(null), 0x1a4)
            .File("/etc/passwd", "root")
            .File("/aaa", "cold");

        image.Hot(["app"]).ShouldBe(
            ["/etc/passwd", "/usr/bin/app", "/usr/lib64/ld.so", "/etc/ld.so.cache", "/usr/lib/x86_64-linux-gnu/liba.so.1.2", "/usr/lib64/libc.so.6", "/usr/lib/x86_64-linux-gnu/libb.so.2"]);
        image.All(["app"])[^1].ShouldBe("/aaa");
    }

    [Fact]
    public void ForImage_WhenLibrariesAreElsewhere_SearchesRunpathConfigurationAndEnvironment()
    {
        SmallImage image = new SmallImage()
            .Program("/opt/app/bin/app", ElfSample.Build(Loader, ["libown.so", "libconf.so", "libenv.so", "/opt/abs.so"], runpath: "$ORIGIN/../lib:/nowhere"))
            .File("/opt/app/lib/libown.so", ElfSample.Build(needed: ["own"]), 0x1a4)
            .File("/opt/abs.so", ElfSample.Build(needed: ["abs"]), 0x1a4)
            .File("/opt/conf/libconf.so", ElfSample.Build(needed: ["conf"]), 0x1a4)
            .File("/opt/env/libenv.so", ElfSample.Build(needed: ["env"]), 0x1a4)
            .File("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n")
            .File("/etc/ld.so.conf.d/app.conf", "# libraries of app\n/opt/conf\n");

        image.Hot(["/opt/app/bin/app"], environment: ["LD_LIBRARY_PATH=/opt/env"])
            .ShouldBe(["/opt/app/bin/app", "/opt/app/lib/libown.so", "/opt/conf/libconf.so", "/opt/env/libenv.so", "/opt/abs.so"]);
    }

    [Fact]
    public void ForImage_WhenLibraryIsForAnotherMachine_TakesTheNext()
    {
        SmallImage image = new SmallImage()
            .Program("/bin/app", ElfSample.Build(needed: ["libc.so.6"]))
            .File("/lib/x86_64-linux-gnu/libc.so.6", ElfSample.Build(machine: 183), 0x1a4)
            .File("/lib64/libc.so.6", ElfSample.Build(machine: 62), 0x1a4);

        image.Hot(["app"]).ShouldBe(["/bin/app", "/lib64/libc.so.6"]);
    }

    [Fact]
    public void ForImage_WhenEntrypointIsScript_BringsInterpreterAndTheProgramsItIsGiven()
    {
        SmallImage image = new SmallImage()
            .Program("/usr/local/bin/docker-entrypoint.sh", "#!/bin/sh -e\nexec \"$@\"\n")
            .Symlink("/bin/sh", "dash")
            .Program("/bin/dash", ElfSample.Build(needed: ["libc.so.6"]))
            .File("/lib/libc.so.6", ElfSample.Build(), 0x1a4)
            .Program("/usr/local/bin/redis-server", ElfSample.Build(needed: ["libm.so.6"]))
            .File("/lib/libm.so.6", ElfSample.Build(machine: 62, rpath: "x"), 0x1a4)
            .File("/etc/redis.conf", "port 0");

        image.Hot(["docker-entrypoint.sh"], ["redis-server", "--include=/etc/redis.conf"])
            .ShouldBe(["/usr/local/bin/docker-entrypoint.sh", "/bin/dash", "/lib/libc.so.6", "/usr/local/bin/redis-server", "/lib/libm.so.6", "/etc/redis.conf"]);
    }

    [Fact]
    public void ForImage_WhenInterpreterIsEnv_BringsWhatEnvStarts()
    {
        SmallImage image = new SmallImage()
            .Program("/app/run", "#!/usr/bin/env -S LANG=C python3 -u\n")
            .Program("/usr/bin/env", ElfSample.Build(needed: ["libenv.so"]))
            .Program("/usr/local/bin/python3", ElfSample.Build(needed: ["libpython.so"]))
            .File("/app/main.py", "print()");

        image.Hot(["./run", "main.py"], workingDirectory: "/app").ShouldBe(["/app/run", "/usr/bin/env", "/usr/local/bin/python3", "/app/main.py"]);
    }

    [Fact]
    public void ForImage_WhenCommandIsForAShell_LooksAtItsWords()
    {
        SmallImage image = new SmallImage()
            .Program("/bin/sh", ElfSample.Build(needed: ["sh"]))
            .Program("/usr/sbin/nginx", ElfSample.Build(needed: ["nginx"]))
            .File("/srv/app.conf", "conf");

        image.Hot(["/bin/sh", "-c"], ["cd /srv && exec nginx -c '/srv/app.conf'"]).ShouldBe(["/bin/sh", "/usr/sbin/nginx", "/srv/app.conf"]);
    }

    [Fact]
    public void ForImage_WhenPathIsSet_UsesItAndSkipsWhatIsNotExecutable()
    {
        SmallImage image = new SmallImage().File("/first/app", "data").Program("/second/app", "program").Program("/usr/bin/app", "other");

        image.Hot(["app"], environment: ["PATH=/first:/second"]).ShouldBe(["/second/app"]);
    }

    [Fact]
    public void ForImage_WhenSymlinksGoInCirclesOrOut_GivesUpOrStaysInside()
    {
        SmallImage image = new SmallImage()
            .Symlink("/bin/loop", "loop")
            .Symlink("/bin/out", "../../../../../etc/target")
            .Program("/etc/target", "x");

        image.Hot(["loop"]).ShouldBeEmpty();
        image.Hot(["out"]).ShouldBe(["/etc/target"]);
    }

    [Fact]
    public void ForImage_WhenScriptsInterpretEachOtherInCircles_Ends()
    {
        SmallImage image = new SmallImage().Program("/a", "#!/b\n").Program("/b", "#!/a\n\n").Program("/c", "#!\n").Program("/d", "#!");

        image.Hot(["/a", "/c", "/d"]).ShouldBe(["/a", "/b", "/c", "/d"]);
    }

    [Fact]
    public void ForImage_WhenContentCannotBePeeked_StillNamesTheProgram()
    {
        SmallImage image = new SmallImage().Program("/bin/app", ElfSample.Build(needed: ["libc.so.6"])).File("/lib/libc.so.6", ElfSample.Build(), 0x1a4);

        image.Hot(["app"], canPeek: _ => false).ShouldBe(["/bin/app"]);
    }

    [Fact]
    public void ForImage_WhenElfIsDamaged_NeverFails()
    {
        byte[] good = ElfSample.Build(Loader, ["liba.so", "libb.so"], runpath: "/x:$ORIGIN");
        Gen<(int Length, int At, byte Value)> damage =
            from length in Gen.Choose(0, good.Length)
            from at in Gen.Choose(0, good.Length - 1)
            from value in Gen.Choose(0, 255)
            select (length, at, (byte)value);

        Prop.ForAll(damage.ToArbitrary(), d =>
        {
            byte[] bad = (byte[])good.Clone();
            bad[d.At] = d.Value;
            bad = bad[..d.Length];
            SmallImage image = new SmallImage().Program("/bin/app", bad).Program(Loader, "loader").File("/x/liba.so", "a");
            image.Hot(["app"]).Length.ShouldBeInRange(0, 3);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));
    }

    [Fact]
    public void Beginning_WhenSomeContentsAreOpenedFirst_KeepsTheOthersInTheirOrder()
    {
        ContentOrder order = new ContentOrder([2, 0, 3, 1], 2).Beginning([3, 1, 3]);

        order.Indexes.ShouldBe([3, 1, 2, 0]);
        order.HotCount.ShouldBe(2);
    }

    [Fact]
    public void PositionsOf_WhenContentsAreUnknownOrNamedTwice_PassesThemOver()
    {
        Digest[] digests = [.. Enumerable.Range(0, 5).Select(i => Digest.Of([(byte)i]))];
        ContentRef[] contents = [.. digests[..4].Select(d => new ContentRef(d, 1))];

        ContentOrder.PositionsOf(contents, [digests[3], digests[4], digests[0], digests[3], digests[1]]).ShouldBe([3, 0, 1]);
        ContentOrder.PositionsOf(contents, []).ShouldBeEmpty();
        ContentOrder.PositionsOf([], digests).ShouldBeEmpty();
    }
}
