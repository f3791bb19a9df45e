using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.FunctionalTests.Snapshots;

internal static class GrpcFailures
{
    /// <summary>The call must fail with exactly this kind, which the gRPC status table maps one to one.</summary>
    public static async Task<Error> ShouldFailAsync(this Task call, ErrorKind kind)
    {
        Error error = (await Should.ThrowAsync<FailureException>(call)).Error;
        error.Kind.ShouldBe(kind, error.Message);
        return error;
    }
}
