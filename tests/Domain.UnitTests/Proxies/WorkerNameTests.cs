using Starlight.Domain.Proxies;

namespace Starlight.Domain.UnitTests.Proxies;

public sealed class WorkerNameTests
{
    [Theory]
    [InlineData("edge-7.example.com", true)]
    [InlineData("4c1f6f0e-6b1f-4e0e-9f6a-0d9a6b1c2d3e", true)]
    [InlineData("", false)]
    [InlineData("two words", false)]
    [InlineData("line\nbreak", false)]
    [InlineData("\"quoted\"", false)]
    [InlineData("größer", false)]
    public void IsAcceptable_ForEachKindOfName_KeepsLogLinesWhole(string name, bool expected) => WorkerName.IsAcceptable(name).ShouldBe(expected);

    [Theory]
    [InlineData(64, true)]
    [InlineData(65, false)]
    public void IsAcceptable_AtTheLimit_EndsThere(int length, bool expected) => WorkerName.IsAcceptable(new string('a', length)).ShouldBe(expected);
}
