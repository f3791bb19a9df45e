using System.Runtime.CompilerServices;
using System.Text;
using Xunit.Sdk;

namespace Starlight.TestKit;

/// <summary>
/// Compares what a test made with a file that a person has approved: <c>NAME.verified.txt</c> beside the test. On a difference it writes
/// <c>NAME.received.txt</c> there and fails with a unified diff; a file that is missing fails as well. To approve, rename the received file over the verified one and commit it.
/// </summary>
public static class ApprovedFile
{
    /// <summary>Lines around a change in the diff.</summary>
    private const int Context = 3;

    /// <param name="name">Unique in the directory of the test.</param>
    /// <param name="actual">Text; a missing or other line end at its end counts for nothing.</param>
    /// <param name="testFile">Filled in by the compiler.</param>
    public static void Matches(string name, string actual, [CallerFilePath] string testFile = "") =>
        Compare(Path.Combine(Path.GetDirectoryName(testFile)!, name + ".verified.txt"), actual);

    /// <summary>Bytes that must be readable as well, such as a format's golden file: <paramref name="file"/> itself is compared, and the diff is of its hexadecimal digits.</summary>
    /// <param name="file">Name in the directory of the test, with its extension.</param>
    /// <param name="actual">What was made now.</param>
    /// <param name="testFile">Filled in by the compiler.</param>
    public static void MatchesBytes(string file, ReadOnlySpan<byte> actual, [CallerFilePath] string testFile = "")
    {
        string verified = Path.Combine(Path.GetDirectoryName(testFile)!, file);
        string received = Path.ChangeExtension(verified, ".received" + Path.GetExtension(verified));
        byte[] expected = File.Exists(verified) ? File.ReadAllBytes(verified) : [];
        if (actual.SequenceEqual(expected))
        {
            File.Delete(received);
            return;
        }

        File.WriteAllBytes(received, actual);
        throw Refused(verified, received, Lines(Hex(expected)), Lines(Hex(actual)));
    }

    internal static void Compare(string verified, string actual)
    {
        string received = verified[..^".verified.txt".Length] + ".received.txt";
        string[] expectedLines = File.Exists(verified) ? Lines(File.ReadAllText(verified)) : [];
        string[] actualLines = Lines(actual);
        if (File.Exists(verified) && expectedLines.AsSpan().SequenceEqual(actualLines))
        {
            File.Delete(received);
            return;
        }

        File.WriteAllText(received, string.Join('\n', actualLines) + "\n");
        throw Refused(verified, received, expectedLines, actualLines);
    }

    private static XunitException Refused(string verified, string received, string[] expected, string[] actual) =>
        new($"not as approved; if the change is wanted: mv {received} {verified}\n{Diff(verified, received, expected, actual)}");

    private static string[] Lines(string text) => text.ReplaceLineEndings("\n").TrimEnd('\n').Split('\n');

    /// <summary>Unified diff by longest common subsequence; approved files are small.</summary>
    private static string Diff(string expectedName, string actualName, string[] expected, string[] actual)
    {
        int[,] common = new int[expected.Length + 1, actual.Length + 1];
        for (int i = expected.Length - 1; i >= 0; i--)
        {
            for (int j = actual.Length - 1; j >= 0; j--)
            {
                common[i, j] = expected[i] == actual[j] ? common[i + 1, j + 1] + 1 : Math.Max(common[i + 1, j], common[i, j + 1]);
            }
        }

        List<(char Sign, string Text, int Expected, int Actual)> edits = [];
        for (int i = 0, j = 0; i < expected.Length || j < actual.Length;)
        {
            if (i < expected.Length && j < actual.Length && expected[i] == actual[j])
            {
                edits.Add((' ', expected[i], i++, j++));
            }
            else if (j >= actual.Length || (i < expected.Length && common[i + 1, j] >= common[i, j + 1]))
            {
                edits.Add(('-', expected[i], i++, j));
            }
            else
            {
                edits.Add(('+', actual[j], i, j++));
            }
        }

        StringBuilder diff = new($"--- {expectedName}\n+++ {actualName}\n");
        for (int at = 0; at < edits.Count;)
        {
            int first = edits.FindIndex(at, e => e.Sign != ' ');
            if (first < 0)
            {
                break;
            }

            int last = first;
            for (int next = first; next >= 0 && next - last <= 2 * Context; next = edits.FindIndex(next + 1, e => e.Sign != ' '))
            {
                last = next;
            }

            int from = Math.Max(at, first - Context);
            int to = Math.Min(edits.Count, last + Context + 1);
            var hunk = edits[from..to];
            diff.Append($"@@ -{hunk[0].Expected + 1},{hunk.Count(e => e.Sign != '+')} +{hunk[0].Actual + 1},{hunk.Count(e => e.Sign != '-')} @@\n");
            hunk.ForEach(e => diff.Append(e.Sign).Append(e.Text).Append('\n'));
            at = to;
        }

        return diff.ToString();
    }

    private static string Hex(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new();
        for (int at = 0; at < bytes.Length; at += 16)
        {
            ReadOnlySpan<byte> line = bytes[at..Math.Min(at + 16, bytes.Length)];
            text.Append($"{at:x6}  {Convert.ToHexStringLower(line),-32}  ");
            foreach (byte b in line)
            {
                text.Append(b is >= 0x20 and < 0x7F ? (char)b : '.');
            }

            text.Append('\n');
        }

        return text.ToString();
    }
}
