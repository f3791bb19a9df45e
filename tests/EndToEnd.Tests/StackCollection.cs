using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>One running stack for all tests that leave it as they found it. The tests of the collection run one after the other.</summary>
public sealed class StackFixture : IAsyncLifetime
{
    private StarlightStack? _stack;

    public StarlightStack Stack => _stack!;

    public async Task InitializeAsync() => _stack = await StarlightStack.StartAsync();

    /// <summary>A worker without containers and images, whatever a failed test has left: no test may fail because of another.</summary>
    public async Task ResetAsync()
    {
        Stack.Relay.Rule = RelayRule.None;
        foreach (string container in Lines((await Stack.Ctr("containers", "ls", "-q")).Succeeded()))
        {
            await Stack.RemoveContainerAsync(container);
        }

        string[] images = Lines((await Stack.Ctr("images", "ls", "-q")).Succeeded());
        await Images.RemoveAsync(Stack, images);
        static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    public async Task DisposeAsync()
    {
        if (_stack is not null)
        {
            await _stack.DisposeAsync();
        }
    }
}

/// <summary>A test that finds the worker empty.</summary>
public abstract class StackTest(StackFixture fixture) : IAsyncLifetime
{
    protected StarlightStack Stack => fixture.Stack;

    public virtual Task InitializeAsync() => fixture.ResetAsync();

    public virtual Task DisposeAsync() => Task.CompletedTask;
}

[CollectionDefinition(nameof(StackCollection))]
public sealed class StackCollection : ICollectionFixture<StackFixture>;
