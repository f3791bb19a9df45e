using Starlight.Application.Delta;

namespace Starlight.Application.UnitTests.Delta;

public sealed class BoundedCacheTests
{
    [Fact]
    public async Task Get_WhenMissedAtOnce_LoadsOnce()
    {
        BoundedCache<string, string> cache = new(100, v => v.Length);
        TaskCompletionSource<string> value = new();
        int loads = 0;
        Task<string>[] gets = [.. Enumerable.Range(0, 5).Select(_ => cache.GetAsync("a", LoadAsync, CancellationToken.None))];

        value.SetResult("value");

        (await Task.WhenAll(gets)).ShouldAllBe(v => v == "value");
        loads.ShouldBe(1);

        Task<string> LoadAsync()
        {
            Interlocked.Increment(ref loads);
            return value.Task;
        }
    }

    [Fact]
    public async Task Get_WhenFull_DropsTheLeastRecentlyUsed()
    {
        BoundedCache<string, string> cache = new(10, v => v.Length);
        await Get("a", "12345");
        await Get("b", "12345");
        await Get("a", "again");

        await Get("c", "12345");

        (await Get("a", "loaded anew")).ShouldBe("12345");
        (await Get("b", "again")).ShouldBe("again");
        cache.Bytes.ShouldBeLessThanOrEqualTo(10);

        Task<string> Get(string key, string fresh) => cache.GetAsync(key, () => Task.FromResult(fresh), CancellationToken.None);
    }

    [Fact]
    public async Task Get_WhenLoadFails_KeepsNothing()
    {
        BoundedCache<string, string> cache = new(10, v => v.Length);
        await Should.ThrowAsync<InvalidOperationException>(() => cache.GetAsync("a", () => throw new InvalidOperationException(), CancellationToken.None));

        (await cache.GetAsync("a", () => Task.FromResult("x"), CancellationToken.None)).ShouldBe("x");
        cache.Bytes.ShouldBe(1);
    }
}
