namespace Starlight.EndToEnd.Tests;

// The mode that the daemon chooses by itself runs all tests. Of the others, each runs those in which the mode matters: classes that are derived from here.

/// <summary>As on Linux 6.5 to 6.15.</summary>
public sealed class NestedOverlayFixture : StackFixture
{
    public override string MountMode => "nested overlays, EROFS from files";

    protected override IReadOnlyList<string> DaemonArguments => ["--mount-mode", "nested-overlay", "--erofs", "file"];
}

/// <summary>As on Linux 6.5 to 6.11: EROFS cannot be mounted from a file either.</summary>
public sealed class LoopDeviceFixture : StackFixture
{
    public override string MountMode => "nested overlays, EROFS on loop devices";

    protected override IReadOnlyList<string> DaemonArguments => ["--mount-mode", "nested-overlay", "--erofs", "loop"];
}

/// <summary>As on every other kernel.</summary>
public sealed class DirectoryTreeFixture : StackFixture
{
    public override string MountMode => "directory trees, no early start";

    public override bool StartsEarly => false;

    protected override IReadOnlyList<string> DaemonArguments => ["--mount-mode", "directory-tree"];
}

/// <summary>As where there is no /dev/fuse.</summary>
public sealed class NoEarlyStartFixture : StackFixture
{
    public override string MountMode => "single overlay with data-only layers, EROFS from files, no early start";

    public override bool StartsEarly => false;

    protected override IReadOnlyList<string> DaemonArguments => ["--early-start", "off"];
}

[CollectionDefinition(nameof(NestedOverlayCollection))]
public sealed class NestedOverlayCollection : ICollectionFixture<NestedOverlayFixture>;

[CollectionDefinition(nameof(LoopDeviceCollection))]
public sealed class LoopDeviceCollection : ICollectionFixture<LoopDeviceFixture>;

[CollectionDefinition(nameof(DirectoryTreeCollection))]
public sealed class DirectoryTreeCollection : ICollectionFixture<DirectoryTreeFixture>;

[CollectionDefinition(nameof(NoEarlyStartCollection))]
public sealed class NoEarlyStartCollection : ICollectionFixture<NoEarlyStartFixture>;

[Collection(nameof(NestedOverlayCollection))]
public sealed class NestedOverlayTests(NestedOverlayFixture fixture) : MountModeTests(fixture);

[Collection(nameof(NestedOverlayCollection))]
public sealed class NestedOverlayTreeEqualityTests(NestedOverlayFixture fixture) : TreeEqualityTests(fixture);

[Collection(nameof(NestedOverlayCollection))]
public sealed class NestedOverlayEarlyStartTests(NestedOverlayFixture fixture) : EarlyStartTests(fixture);

[Collection(nameof(NestedOverlayCollection))]
public sealed class NestedOverlayCrashTests(NestedOverlayFixture fixture) : CrashTests(fixture);

[Collection(nameof(NestedOverlayCollection))]
public sealed class NestedOverlayLifetimeTests(NestedOverlayFixture fixture) : LifetimeTests(fixture);

[Collection(nameof(NestedOverlayCollection))]
public sealed class NestedOverlayUpdateTests(NestedOverlayFixture fixture) : UpdateTests(fixture);

[Collection(nameof(LoopDeviceCollection))]
public sealed class LoopDeviceTests(LoopDeviceFixture fixture) : MountModeTests(fixture);

[Collection(nameof(LoopDeviceCollection))]
public sealed class LoopDeviceCrashTests(LoopDeviceFixture fixture) : CrashTests(fixture);

[Collection(nameof(DirectoryTreeCollection))]
public sealed class DirectoryTreeTests(DirectoryTreeFixture fixture) : MountModeTests(fixture);

[Collection(nameof(DirectoryTreeCollection))]
public sealed class DirectoryTreeTreeEqualityTests(DirectoryTreeFixture fixture) : TreeEqualityTests(fixture);

[Collection(nameof(DirectoryTreeCollection))]
public sealed class DirectoryTreeWaitingTests(DirectoryTreeFixture fixture) : WaitingForCompletionTests(fixture);

[Collection(nameof(DirectoryTreeCollection))]
public sealed class DirectoryTreeLifetimeTests(DirectoryTreeFixture fixture) : LifetimeTests(fixture);

[Collection(nameof(DirectoryTreeCollection))]
public sealed class DirectoryTreeUpdateTests(DirectoryTreeFixture fixture) : UpdateTests(fixture);

[Collection(nameof(DirectoryTreeCollection))]
public sealed class DirectoryTreeSharedLayersTests(DirectoryTreeFixture fixture) : SharedLayersTests(fixture);

[Collection(nameof(DirectoryTreeCollection))]
public sealed class DirectoryTreeRemotePullTests(DirectoryTreeFixture fixture) : WaitingRemotePullTests(fixture);

[Collection(nameof(NoEarlyStartCollection))]
public sealed class NoEarlyStartTests(NoEarlyStartFixture fixture) : MountModeTests(fixture);

[Collection(nameof(NoEarlyStartCollection))]
public sealed class NoEarlyStartWaitingTests(NoEarlyStartFixture fixture) : WaitingForCompletionTests(fixture);

[Collection(nameof(NoEarlyStartCollection))]
public sealed class NoEarlyStartRemotePullTests(NoEarlyStartFixture fixture) : WaitingRemotePullTests(fixture);

[Collection(nameof(StackCollection))]
public sealed class SingleOverlayTests(StackFixture fixture) : MountModeTests(fixture);
