using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Abstractions.Containerd;

/// <summary>The containerd that containers on this worker run under. Failures are <see cref="FailureException"/>s. Safe for concurrent use.</summary>
public interface IContainerRuntime
{
    /// <summary>containerd's version, e.g. <c>1.6.20</c>. Fails with Unavailable <c>Containerd.NotRunning</c>.</summary>
    Task<string> GetVersionAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Fails with FailedPrecondition <c>Containerd.SnapshotterMissing</c> or <c>Containerd.SnapshotterFailed</c> unless containerd has loaded the snapshotter
    /// <paramref name="name"/>; the message says what to write into its configuration.
    /// </summary>
    Task RequireSnapshotterAsync(string name, CancellationToken cancellationToken);

    /// <summary>The images of a namespace, which is created if missing.</summary>
    Task<IContainerImages> OpenNamespaceAsync(string name, CancellationToken cancellationToken);
}
