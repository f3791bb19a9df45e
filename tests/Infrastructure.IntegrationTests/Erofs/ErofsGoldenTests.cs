using System.Globalization;
using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.Erofs;

/// <summary>The bytes of a filesystem image are a format: manifests and workers hold its digest. A change here needs a new format version.</summary>
public sealed class ErofsGoldenTests
{
    private const string Golden = """
        4096 bytes
        0400  e2e1f5e032e5a477 030000000c002400
        0410  0600000000000000 6400000000000000
        0420  0000000001000000 0000000000000000
        0430  1ce22635eabd8807 a14decfa21127d4b
        0450  0400000000000000 0000000000000000
        0480  05000000ed410000 5a00000000000000
        0490  0000000001000000 0000000000000000
        04a0  0000000000000000 0000000003000000
        04c0  2400000000000000 4800020024000000
        04d0  0000000049000200 2900000000000000
        04e0  4b0002002d000000 000000004e000100
        04f0  2f00000000000000 5300070032000000
        0500  0000000056000300 2e2e2e62696e656d
        0510  7074796c69626e75 6c6c000000000000
        0520  04000200ed410200 3800000000000000
        0530  0000000002000000 0000000000000000
        0540  0000000001000000 00000000c0010000
        0550  2900000000000000 3000020024000000
        0560  0000000031000200 3300000000000000
        0570  3300010033000000 0000000036000100
        0580  2e2e2e6173687368 0000000000000000
        05a0  01000000a4810000 0000000000000000
        05b0  0000000003000000 0000000000000000
        05c0  0500000000000000 0600000001000000
        05e0  05000000ffa10000 0700000000000000
        05f0  0000000004000000 0000010000000000
        0600  6400000000000000 0000000001000000
        0620  7573722f6c696200 0000000000000000
        0640  00000000b6210100 0000000000000000
        0650  0301100005000000 0000000000000000
        0660  08001d00ed890200 0200000000000000
        0670  1f00000006000000 0000000000000000
        0680  0000000001000000 00000000c0010000
        0690  100400006f766572 6c61792e6d657461
        06a0  636f707910044200 6f7665726c61792e
        06b0  7265646972656374 2f33362f31326464
        06c0  6166343665313439 6134663538336661
        06d0  6630666163653834 3635383531343866
        06e0  3539653063653236 3435353934646638
        06f0  3362356463383037 65380000ffffffff
        0700  01010c006b736861 7265642076616c75
        0710  6500000000000000 0000000000000000
        """;

    [Fact]
    public void Build_WhenTreeIsTheGoldenOne_GivesTheGoldenBytes()
    {
        LayerEntry[] layer =
        [
            Dir("bin", xattrs: Attribute("user.k", "shared value")), File("bin/sh", "#!", mode: "4755", xattrs: Attribute("user.k", "shared value")),
            HardLink("bin/ash", "bin/sh", mode: "4755", xattrs: Attribute("user.k", "shared value")), File("empty", mtime: 5, nanoseconds: 6), Symlink("lib", "usr/lib", uid: 65536),
            Device("null", FileKind.CharacterDevice, 1, 259, "666"),
        ];

        byte[] image = ErofsWriter.Build(TreeMerger.Merge([layer]).Value);

        Rows(image).ShouldBe(Golden);
    }

    [Fact]
    public void Build_WhenTreeIsEmpty_KeepsItsDigest() =>
        Digest.Of(ErofsWriter.Build(TreeMerger.Merge([]).Value)).ToString().ShouldBe("sha256:a679c5b0da7e1b416f340f6f1af8b93c3d8aeefbbdc2fa6d2432f9cf00b7308c");

    /// <summary>Rows of 16 bytes that are not all zero, with their offset.</summary>
    private static string Rows(byte[] image)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"{image.Length} bytes");
        for (int offset = 0; offset < image.Length; offset += 16)
        {
            ReadOnlySpan<byte> row = image.AsSpan(offset, 16);
            if (row.ContainsAnyExcept((byte)0))
            {
                text.Append(CultureInfo.InvariantCulture, $"\n{offset:x4}  {Convert.ToHexStringLower(row[..8])} {Convert.ToHexStringLower(row[8..])}");
            }
        }

        return text.ToString();
    }
}
