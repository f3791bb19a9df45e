using System.Text;
using Starlight.Architecture.Tests.Rules;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;
using Starlight.Presentation.Cli.Output;
using Starlight.Presentation.Proxy.Problems;
using Starlight.TestKit;

namespace Starlight.Architecture.Tests.Approved;

/// <summary>What scripts and clients tell failures apart by.</summary>
public sealed class ErrorTableTests
{
    [Fact]
    public void ErrorKinds_AreAsApproved()
    {
        StringBuilder text = new("kind                HTTP  gRPC                 exit code\n");
        foreach (ErrorKind kind in Enum.GetValues<ErrorKind>())
        {
            text.Append($"{kind,-20}{ProblemTable.StatusOf(kind),4}  {GrpcStatusMap.ToStatus(kind),-20} {ExitCodes.Of(kind),3}\n");
        }

        ApprovedFile.Matches("error-kinds", text.ToString());
    }

    /// <summary>The table for people says the same.</summary>
    [Fact]
    public void ErrorKinds_AreDocumented()
    {
        string[] rows = [.. SourceTree.Lines("docs/architecture.md").Where(l => l.StartsWith("| ", StringComparison.Ordinal))];
        foreach (ErrorKind kind in Enum.GetValues<ErrorKind>())
        {
            string status = string.Concat(GrpcStatusMap.ToStatus(kind).ToString().Select((c, i) => i > 0 && char.IsUpper(c) ? $"_{c}" : char.ToUpperInvariant(c).ToString()));
            rows.ShouldContain(r => r.StartsWith($"| {kind} | {ProblemTable.StatusOf(kind)} | {status} | {ExitCodes.Of(kind)} |", StringComparison.Ordinal), $"docs/architecture.md, row of {kind}");
        }
    }
}
