using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.IntegrationTests.Grpc;

public sealed class GrpcStatusMapTests
{
    public static TheoryData<ErrorKind, int> Rows => new()
    {
        { ErrorKind.Cancelled, 1 },
        { ErrorKind.InvalidInput, 3 },
        { ErrorKind.NotFound, 5 },
        { ErrorKind.AlreadyExists, 6 },
        { ErrorKind.PermissionDenied, 7 },
        { ErrorKind.ResourceExhausted, 8 },
        { ErrorKind.FailedPrecondition, 9 },
        { ErrorKind.Unsupported, 12 },
        { ErrorKind.Internal, 13 },
        { ErrorKind.Unavailable, 14 },
        { ErrorKind.DataCorrupt, 15 },
        { ErrorKind.Unauthenticated, 16 },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public void Table_ForEachKind_GivesItsStatusAndBack(ErrorKind kind, int status)
    {
        ((int)GrpcStatusMap.ToStatus(kind)).ShouldBe(status);
        GrpcStatusMap.ToKind((GrpcStatusCode)status).ShouldBe(kind);
    }

    [Fact]
    public void Table_HasARowForEveryKind() => Rows.Select(row => (ErrorKind)row[0]).ShouldBe(Enum.GetValues<ErrorKind>(), ignoreOrder: true);

    [Theory]
    [InlineData(2, ErrorKind.Internal)]
    [InlineData(4, ErrorKind.Cancelled)]
    [InlineData(10, ErrorKind.Unavailable)]
    [InlineData(11, ErrorKind.InvalidInput)]
    [InlineData(99, ErrorKind.Internal)]
    public void ToKind_WhenOnlyPeersUseTheStatus_GivesTheNearestKind(int status, ErrorKind kind) => GrpcStatusMap.ToKind((GrpcStatusCode)status).ShouldBe(kind);

    [Fact]
    public void ToKind_WhenOk_IsRefused() => Should.Throw<ArgumentOutOfRangeException>(() => GrpcStatusMap.ToKind(GrpcStatusCode.Ok));

    [Fact]
    public void ToError_WhenThePeerSendsNoCode_NamesTheStatus()
    {
        Error error = GrpcStatusMap.ToError(GrpcStatusCode.NotFound, "", null);
        error.Code.ShouldBe("Grpc.NotFound");
        error.Message.ShouldNotBeEmpty();
    }
}
