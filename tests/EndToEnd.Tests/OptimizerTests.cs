using System.Security.Cryptography;
using System.Text;
using Starlight.Domain.Content;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>Issue 5: what containers open comes first.</summary>
public abstract class OptimizerTests(StackFixture fixture) : StackTest(fixture)
{
    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        (await Stack.Cli("optimizer", "off")).Succeeded();
        _ = await Stack.Cli("report");
    }

    [Fact]
    public async Task Report_OfATracedContainer_PutsWhatItOpenedFirst()
    {
        string reference = await SampleImage.PushAsync(Stack, $"order/first:{Fixture.GetType().Name.ToLowerInvariant()}");
        await Stack.NotifyAsync(reference);
        await Stack.PullWholeAsync(reference);
        DeltaOf before = await DeltaOf.ImageAsync(Stack, reference);

        (await Stack.Cli("optimizer", "on")).Succeeded().ShouldContain("optimizer on");
        Digest late = new(SHA256.HashData(Encoding.Latin1.GetBytes(await Stack.RunAsync(reference, ["/bin/cat", "/zz/3"]))));
        before.Contents[^1].Digest.ShouldBe(late, "path order puts it last");
        string off = (await Stack.Cli("optimizer", "off")).Succeeded();
        off.ShouldContain("1 wait to be reported");
        (await Stack.Cli("optimizer", "status")).Succeeded().ShouldContain(reference);
        (await Stack.Cli("report")).Succeeded().ShouldContain($"{reference}: 1 traces reported");

        DeltaOf after = await DeltaOf.ImageAsync(Stack, reference);
        after.Contents.First(c => c.Size == SampleImage.LargeFile).Digest.ShouldBe(late, "of the four large files the one that was opened comes first");
        after.Digests.Order().ShouldBe(before.Digests.Order());
        (await Stack.Cli("report")).Succeeded().ShouldContain("no traces wait");
        string order = (await Stack.Cli("order", "show", reference)).Succeeded();
        order.ShouldContain("from 1 traces");
        order.ShouldContain("/zz/3");
        order.ShouldNotContain("/zz/0");
        await Images.RemoveAsync(Stack, reference);
    }
}

[Collection(nameof(StackCollection))]
public sealed class SingleOverlayOptimizerTests(StackFixture fixture) : OptimizerTests(fixture);

[Collection(nameof(NestedOverlayCollection))]
public sealed class NestedOverlayOptimizerTests(NestedOverlayFixture fixture) : OptimizerTests(fixture);
