using Starlight.Domain.Content;

namespace Starlight.Domain.UnitTests.Content;

public sealed class UseHistogramTests
{
    [Theory]
    [InlineData(0, long.MinValue, 0)]
    [InlineData(1, 10, 1)]
    [InlineData(300, 10, 300)]
    [InlineData(301, 20, 1)]
    [InlineData(350, 20, 50)]
    [InlineData(351, 30, 1)]
    [InlineData(9999, long.MaxValue, 0)]
    public void CutoffFor_TakesTheLeastRecentlyUsedFirstAndNoMoreThanNeeded(long wanted, long lastUsed, long bytes)
    {
        UseHistogram histogram = new();
        histogram.Add(20, 50);
        histogram.Add(30, 1000);
        histogram.Add(10, 100);
        histogram.Add(10, 200);

        histogram.CutoffFor(wanted).ShouldBe((lastUsed, bytes));
    }

    [Fact]
    public void CutoffFor_WhenNothingMayGo_FreesNothing() => new UseHistogram().CutoffFor(5).ShouldBe((long.MaxValue, 0));
}
