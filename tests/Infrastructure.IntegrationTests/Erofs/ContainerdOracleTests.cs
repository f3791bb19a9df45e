using System.Text.RegularExpressions;
using Starlight.Domain.Trees;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Erofs;

/// <summary>Every rule of merging, checked against containerd's own unpacking and the kernel's overlayfs.</summary>
public sealed partial class ContainerdOracleTests : IClassFixture<ContainerdOracleTests.Containerd>
{
    private readonly Containerd _containerd;

    public ContainerdOracleTests(Containerd containerd) => _containerd = containerd;

    public static TheoryData<string> CaseNames => [.. MergeCases.All.Select(static mergeCase => mergeCase.Name)];

    [Theory]
    [MemberData(nameof(CaseNames))]
    public void Merge_WhenContainerdUnpacksTheSameLayers_GivesTheSameTree(string name)
    {
        MergeCase mergeCase = MergeCases.Get(name);
        ContainerdOracle containerd = _containerd.Get();
        if (mergeCase.IsRefusedByContainerd)
        {
            Should.Throw<InvalidOperationException>(() => containerd.Unpack(mergeCase.Layers)).Message.ShouldContain("ctr");
            return;
        }

        FileTree real = containerd.Unpack(mergeCase.Layers).Tree;

        Stable(MergeCases.Describe(real), mergeCase).ShouldBe(Stable(mergeCase.Expected, mergeCase));
    }

    /// <summary>Masks times that containerd takes from the clock.</summary>
    private static string[] Stable(string[] lines, MergeCase mergeCase) =>
        [.. lines.Select(line => line[..line.IndexOf(' ', StringComparison.Ordinal)] is var path && (path == "." || mergeCase.UnstableMtimes.Contains(path)) ? Mtime().Replace(line, "@now", 1) : line)];

    [GeneratedRegex("@[0-9.]+", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Mtime();

    /// <summary>One containerd for all cases, started by the first that may run.</summary>
    public sealed class Containerd : IDisposable
    {
        private ContainerdOracle? _containerd;

        public ContainerdOracle Get()
        {
            Requirements.Root();
            Requirements.FileSystem("overlay");
            Requirements.Program("containerd");
            Requirements.Program("ctr");
            return _containerd ??= new ContainerdOracle();
        }

        public void Dispose() => _containerd?.Dispose();
    }
}
