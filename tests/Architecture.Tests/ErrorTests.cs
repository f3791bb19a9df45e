using Starlight.Architecture.Tests.Laws;
using Starlight.Architecture.Tests.Rules;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;
using Starlight.Presentation.Cli.Output;
using Starlight.Presentation.Proxy.Problems;

namespace Starlight.Architecture.Tests;

/// <summary>Error codes, and the three tables between an error's kind and what the outside sees.</summary>
public sealed class ErrorTests
{
    /// <summary>Methods that compute a code, each with why.</summary>
    private static readonly Dictionary<string, string> Computed = new(StringComparer.Ordinal)
    {
        ["Starlight.Infrastructure.Grpc.GrpcStatusMap::ToError"] = "a peer that sends no code of ours gets Grpc.<status>",
        ["Starlight.Application.Behaviours.ValidationBehaviour`2/<Handle>d__3::MoveNext"] = "the code of the first broken rule, given with WithErrorCode",
        ["Starlight.Domain.Images.OciJson::Parse"] = "<document>.Malformed, for manifests, indexes and configurations",
        ["Starlight.Infrastructure.Images.Sources.ManifestDocument::Failure"] = "Manifest.<problem>, all problems in that file",
        ["Starlight.Infrastructure.Persistence.ScanJobs::FromRow"] = "what a job failed with, as it was stored",
        ["Starlight.Infrastructure.Grpc.GrpcPeer::ConnectionLost"] = "<peer>.ConnectionLost: Daemon or Containerd",
        ["Starlight.Infrastructure.Grpc.GrpcPeer::NotGrpc"] = "<peer>.NotGrpc",
        ["Starlight.Infrastructure.Grpc.GrpcPeer::NotPermitted"] = "<peer>.NotPermitted",
        ["Starlight.Infrastructure.Grpc.GrpcPeer::NotRunning"] = "<peer>.NotRunning",
    };

    public static TheoryData<ErrorKind> Kinds => new(Enum.GetValues<ErrorKind>());

    [Fact]
    public void Codes_AreConceptDotProblem() => ErrorLaws.CodesAreConceptDotProblem(Product.All.Written(), Computed);

    [Fact]
    public void Codes_HaveOneKind() => ErrorLaws.ACodeHasOneKind(Product.All.Written());

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Kind_HasAnHttpStatus(ErrorKind kind) => ProblemTable.StatusOf(kind).ShouldBeInRange(400, 599);

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Kind_SurvivesGrpc(ErrorKind kind) => GrpcStatusMap.ToKind(GrpcStatusMap.ToStatus(kind)).ShouldBe(kind);

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Kind_HasAnExitCodeThatIsNeitherSuccessNorUsage(ErrorKind kind) => ExitCodes.Of(kind).ShouldBeInRange(2, 255);
}
