using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>One running stack for all tests that leave it as they found it. The tests of the collection run one after the other.</summary>
public class StackFixture : IAsyncLifetime
{
    private StarlightStack? _stack;

    public StarlightStack Stack => _stack!;

    /// <summary>What version says of the mounts.</summary>
    public virtual string MountMode => "single overlay with data-only layers, EROFS from files";

    /// <summary>Containers can start while their contents arrive.</summary>
    public virtual bool StartsEarly => true;

    /// <summary>Arguments of the daemon.</summary>
    protected virtual IReadOnlyList<string> DaemonArguments => [];

    public async Task InitializeAsync() => _stack = await StarlightStack.StartAsync(daemonArguments: DaemonArguments);

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

    protected StackFixture Fixture => fixture;

    public virtual Task InitializeAsync() => fixture.ResetAsync();

    public virtual Task DisposeAsync() => Task.CompletedTask;
}

[CollectionDefinition(nameof(StackCollection))]
public sealed class StackCollection : ICollectionFixture<StackFixture>;
