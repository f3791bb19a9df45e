using Starlight.TestKit;

namespace Starlight.Architecture.Tests.Approved;

/// <summary>What the layers offer each other: a change here is a change of a contract.</summary>
public sealed class PublicTypesTests
{
    [Fact]
    public void Domain_IsAsApproved() => ApprovedFile.Matches("domain", PublicTypes.Of(typeof(Domain.SharedKernel.Error).Assembly, "Starlight.Domain"));

    [Fact]
    public void Ports_AreAsApproved() => ApprovedFile.Matches("ports", PublicTypes.Of(typeof(Application.DependencyInjection).Assembly, "Starlight.Application.Abstractions"));
}
