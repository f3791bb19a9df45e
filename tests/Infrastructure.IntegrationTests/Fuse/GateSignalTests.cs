using System.Diagnostics;
using System.Globalization;
using System.Text;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Fuse;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Fuse;

/// <summary>Signals to a process that waits in open(2): fatal ones end it at once, handled ones do not fail the open.</summary>
public sealed class GateSignalTests : IDisposable
{
    private static readonly TimeSpan OneSecond = TimeSpan.FromSeconds(1);
    private readonly GateRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Theory]
    [InlineData("KILL")]
    [InlineData("TERM")]
    [InlineData("QUIT")] // dumps core: the kernel does not mark it by SIGKILL
    public async Task FatalSignal_WhileWaiting_EndsTheProcessWithinASecond(string signal)
    {
        _rig.Image.AddFile("absent", Encoding.ASCII.GetBytes("absent"));
        _rig.ExpectAll();
        GatedContainer container = await _rig.MountAsync();
        using ChildProcess reader = ChildProcess.Start("cat", [container["absent"]]);
        await _rig.WaitingAsync(1);

        long sent = Stopwatch.GetTimestamp();
        await SendAsync(signal, reader.Pid);
        await reader.WaitAsync(OneSecond);

        Stopwatch.GetElapsedTime(sent).ShouldBeLessThan(OneSecond);
        _rig.Gate.WaitingCount.ShouldBe(0);
    }

    [Fact]
    public async Task HandledSignal_WhileWaiting_DoesNotFailTheOpen()
    {
        Digest digest = _rig.Image.AddFile("late", Encoding.ASCII.GetBytes("late"));
        _rig.ExpectAll();
        GatedContainer container = await _rig.MountAsync();
        using ChildProcess reader = ChildProcess.Start(
            "perl", ["-e", "$SIG{ALRM} = sub { $n++ }; open(F, '<', $ARGV[0]) or die \"open: $!\"; print <F>, \" after $n signals\";", container["late"]]);
        await _rig.WaitingAsync(1);

        // The kernel asks the gate to interrupt; only then may the content arrive, or nothing would be tested.
        await SendAsync("ALRM", reader.Pid);
        await Probe.UntilAsync(() => IsPending(reader.Pid, 14), "SIGALRM pending");
        await Probe.UntilAsync(() => _rig.Gate.InterruptCount > 0, "INTERRUPT seen by the gate");
        _rig.Gate.WaitingCount.ShouldBe(1);
        _rig.Deliver(digest);

        (await reader.WaitAsync(TimeSpan.FromSeconds(20))).Succeeded().ShouldBe("late after 1 signals");
    }

    [Fact]
    public async Task FatalSignal_AfterAHandledOne_StillEndsTheProcess()
    {
        // The kernel sends one INTERRUPT per request, for the first signal only.
        _rig.Image.AddFile("absent", Encoding.ASCII.GetBytes("absent"));
        _rig.ExpectAll();
        GatedContainer container = await _rig.MountAsync();
        using ChildProcess reader = ChildProcess.Start("perl", ["-e", "$SIG{ALRM} = sub { }; open(F, '<', $ARGV[0])", container["absent"]]);
        await _rig.WaitingAsync(1);
        await SendAsync("ALRM", reader.Pid);
        await Probe.UntilAsync(() => _rig.Gate.InterruptCount > 0, "INTERRUPT seen by the gate");

        await SendAsync("TERM", reader.Pid);
        await reader.WaitAsync(OneSecond);
        _rig.Gate.WaitingCount.ShouldBe(0);
    }

    [Fact]
    public async Task SecondOpenerOfTheSameFile_WhenKilled_Ends()
    {
        Digest digest = _rig.Image.AddFile("late", Encoding.ASCII.GetBytes("late"));
        _rig.ExpectAll();
        GatedContainer container = await _rig.MountAsync();
        using ChildProcess first = ChildProcess.Start("cat", [container["late"]]);
        await _rig.WaitingAsync(1);
        using ChildProcess second = ChildProcess.Start("cat", [container["late"]]);
        await Probe.UntilAsync(() => WaitsIn(second.Pid, "ovl_"), "second opener waits for the first in overlayfs");
        second.Kill();
        await second.WaitAsync(OneSecond);
        _rig.Deliver(digest);

        (await first.WaitAsync(TimeSpan.FromSeconds(20))).Succeeded().ShouldBe("late");
    }

    [Fact]
    public void IsFatal_OfEachCombination_FollowsTheKernel()
    {
        Status(pending: 9).ShouldBeTrue("SIGKILL is what the kernel marks a dying thread by");
        Status(pending: 3).ShouldBeTrue("QUIT with its default action dumps core");
        Status(pending: 3, caught: 3).ShouldBeFalse();
        Status(pending: 3, blocked: 3).ShouldBeFalse();
        Status(pending: 3, ignored: 3).ShouldBeFalse();
        Status(pending: 23).ShouldBeFalse("URG is ignored by default");
        Status(pending: 14, caught: 14).ShouldBeFalse();
        Status(pending: 31).ShouldBeTrue("SYS dumps core");
        Status(pending: 15).ShouldBeTrue("TERM after another pending signal stays as it is");
        Status(pending: 15, caught: 15).ShouldBeFalse();
        Status(pending: 19).ShouldBeFalse("STOP stops");
        ProcessSignals.IsFatal("").ShouldBeFalse();
        ProcessSignals.IsFatal("SigPnd:\tzz\nShdPnd:").ShouldBeFalse();
        ProcessSignals.IsDying(0).ShouldBeTrue();
        ProcessSignals.IsDying(Environment.ProcessId).ShouldBeFalse();
        ProcessSignals.IsDying(int.MaxValue).ShouldBeTrue("no such thread");
    }

    private static bool Status(int pending, int blocked = 0, int ignored = 0, int caught = 0)
    {
        string text = $"Name:\tx\nSigQ:\t1/2\nSigPnd:\t{Hex(0)}\nShdPnd:\t{Hex(pending)}\nSigBlk:\t{Hex(blocked)}\nSigIgn:\t{Hex(ignored)}\nSigCgt:\t{Hex(caught)}\nCapInh:\t0\n";
        return ProcessSignals.IsFatal(text);
    }

    private static string Hex(int signal) => (signal == 0 ? 0UL : 1UL << (signal - 1)).ToString("x16", CultureInfo.InvariantCulture);

    private static bool IsPending(int pid, int signal)
    {
        string mask = File.ReadLines($"/proc/{pid}/status").First(line => line.StartsWith("ShdPnd:", StringComparison.Ordinal))[7..].Trim();
        return (ulong.Parse(mask, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) & (1UL << (signal - 1))) != 0;
    }

    private static bool WaitsIn(int pid, string function) => File.ReadAllText($"/proc/{pid}/stack").Contains(function, StringComparison.Ordinal);

    private static async Task SendAsync(string signal, int pid) =>
        (await ProcessRunner.RunAsync("kill", [$"-{signal}", pid.ToString(CultureInfo.InvariantCulture)])).Succeeded();
}
