using Starlight.Architecture.Tests.Laws;
using Starlight.Architecture.Tests.Rules;

namespace Starlight.Architecture.Tests;

public sealed class UseCaseTests
{
    [Fact]
    public void Handlers_AreInternalAndSealed() => UseCaseLaws.HandlersAreInternalAndSealed(Product.All.Written());

    [Fact]
    public void Validators_AreInternalAndSealed() => UseCaseLaws.ValidatorsAreInternalAndSealed(Product.All.Written());

    [Fact]
    public void Requests_HaveExactlyOneHandler() => UseCaseLaws.EveryRequestHasOneHandler(Product.All.Written());

    [Fact]
    public void Requests_ReturnResults() => UseCaseLaws.RequestsReturnResults(Product.All.Written());

    [Fact]
    public void Requests_AreCommandsOrQueries() => UseCaseLaws.RequestsAreCommandsOrQueries(Product.All.Written());

    [Fact]
    public void Ports_HaveAnAdapter() =>
        UseCaseLaws.EveryPortHasAnAdapter(Product.Application.Written().In("Starlight.Application.Abstractions"), Product.All.Written());
}
