using Starlight.Domain.Content;
using Starlight.Domain.Images;

namespace Starlight.Domain.UnitTests.Images;

public sealed class LayerChainTests
{
    private static readonly Digest[] Chain = [.. new[] { "lowest"u8.ToArray(), "middle"u8.ToArray(), "top"u8.ToArray() }.Select(c => Digest.Of(c))];

    [Theory]
    [InlineData(0, null, true)]
    [InlineData(1, 0, true)]
    [InlineData(2, 1, true)]
    [InlineData(0, 1, false)]
    [InlineData(1, null, false)]
    [InlineData(2, 0, false)]
    [InlineData(2, 2, false)]
    public void Has_ForEachLayerAndParent_IsTrueOnTheLayerBelowOnly(int layer, int? parent, bool expected) =>
        LayerChain.Has(Chain, Chain[layer], parent is { } index ? Chain[index].ToString() : null).ShouldBe(expected);

    [Fact]
    public void Has_WhenTheLayerIsAnothers_IsFalse() => LayerChain.Has(Chain, Digest.Of("another"u8), Chain[2].ToString()).ShouldBeFalse();
}
