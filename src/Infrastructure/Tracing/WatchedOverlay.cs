using Starlight.Domain.Content;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Mounts;

namespace Starlight.Infrastructure.Tracing;

/// <summary>Tells a trace which contents of a complete image are opened in one overlay of it. Disposing waits until it has told all that were.</summary>
internal sealed class WatchedOverlay : IDisposable
{
    private readonly ErofsContents _contents;
    private readonly OpenWatch _watch;

    /// <param name="mountPoint">The overlay, with the inode numbers of the image.</param>
    /// <param name="contents">The image's; disposed of with this, but not if this constructor fails.</param>
    /// <param name="recorder">Whom to tell.</param>
    /// <exception cref="Starlight.Domain.SharedKernel.FailureException">As <see cref="OpenWatch.Start"/>.</exception>
    public WatchedOverlay(string mountPoint, ErofsContents contents, TraceRecorder recorder)
    {
        _contents = contents;
        _watch = OpenWatch.Start(mountPoint, inode => contents.Find(inode) is not { } content || recorder.Record(content), recorder.Fail);
    }

    /// <summary>It watches nothing any more.</summary>
    public bool HasEnded => _watch.HasEnded;

    public void Dispose()
    {
        _watch.Dispose();
        _contents.Dispose();
    }
}
