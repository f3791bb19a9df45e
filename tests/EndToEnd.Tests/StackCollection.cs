using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>One running stack for all tests that leave it as they found it. The tests of the collection run one after the other.</summary>
public sealed class StackFixture : IAsyncLifetime
{
    private StarlightStack? _stack;

    public StarlightStack Stack => _stack!;

    public async Task InitializeAsync() => _stack = await StarlightStack.StartAsync();

    public async Task DisposeAsync()
    {
        if (_stack is not null)
        {
            await _stack.DisposeAsync();
        }
    }
}

[CollectionDefinition(nameof(StackCollection))]
public sealed class StackCollection : ICollectionFixture<StackFixture>;
