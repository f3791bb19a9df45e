using Starlight.TestKit;
using Xunit.Sdk;

namespace Starlight.Architecture.Tests.Approved;

/// <summary>The helper itself: it fails, says what differs and how to approve it, and keeps quiet otherwise.</summary>
public sealed class ApprovedFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("starlight-approved").FullName;

    private string TestFile => Path.Combine(_directory, "SomeTests.cs");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Matches_WhenNothingIsApproved_FailsAndKeepsWhatItGot()
    {
        Should.Throw<XunitException>(() => ApprovedFile.Matches("it", "one\ntwo\n", TestFile)).Message.ShouldContain("+one\n+two\n");
        File.ReadAllText(Path.Combine(_directory, "it.received.txt")).ShouldBe("one\ntwo\n");
    }

    [Fact]
    public void Matches_WhenEqual_RemovesAnOldReceivedFile()
    {
        File.WriteAllText(Path.Combine(_directory, "it.verified.txt"), "one\r\ntwo");
        File.WriteAllText(Path.Combine(_directory, "it.received.txt"), "old");
        ApprovedFile.Matches("it", "one\ntwo\n", TestFile);
        File.Exists(Path.Combine(_directory, "it.received.txt")).ShouldBeFalse();
    }

    [Fact]
    public void Matches_WhenDifferent_GivesAUnifiedDiff()
    {
        string[] lines = [.. Enumerable.Range(1, 30).Select(i => $"line {i}")];
        File.WriteAllLines(Path.Combine(_directory, "it.verified.txt"), lines);
        string[] changed = [.. lines[..4], "new", .. lines[4..24], .. lines[25..]];

        string message = Should.Throw<XunitException>(() => ApprovedFile.Matches("it", string.Join('\n', changed), TestFile)).Message;

        message.ShouldContain("@@ -2,6 +2,7 @@\n line 2\n line 3\n line 4\n+new\n line 5\n line 6\n line 7\n");
        message.ShouldContain("@@ -22,7 +23,6 @@\n line 22\n line 23\n line 24\n-line 25\n line 26\n line 27\n line 28\n");
        message.ShouldContain($"mv {_directory}/it.received.txt {_directory}/it.verified.txt");
    }

    [Fact]
    public void MatchesBytes_WhenOneByteDiffers_ShowsItsLine()
    {
        byte[] bytes = [.. Enumerable.Range(0, 64).Select(i => (byte)i)];
        File.WriteAllBytes(Path.Combine(_directory, "it.golden"), bytes);
        ApprovedFile.MatchesBytes("it.golden", bytes, TestFile);
        bytes[20] ^= 1;

        Should.Throw<XunitException>(() => ApprovedFile.MatchesBytes("it.golden", bytes, TestFile)).Message.ShouldContain("+000010  1011121315");
        File.ReadAllBytes(Path.Combine(_directory, "it.received.golden")).ShouldBe(bytes);
    }
}
