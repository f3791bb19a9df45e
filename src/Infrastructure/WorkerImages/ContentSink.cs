using Starlight.Domain.Content;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Objects;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>
/// Where the bundle reader puts contents: the object store verifies each, then the board releases whoever waits for it. One task at a time;
/// <see cref="Done"/> may be read by any.
/// </summary>
internal sealed class ContentSink(ObjectStore objects, ArrivalBoard board, StreamPace pace) : IBundleContentSink, IDisposable
{
    private readonly HashSet<Digest> _stored = [];
    private ContentRef _current;

    /// <summary>The current content is here already: somebody could not wait for it.</summary>
    private bool _present;
    private ObjectWriter? _writer;
    private int _done;

    /// <summary>Distinct contents stored since the beginning.</summary>
    public int Done => Volatile.Read(ref _done);

    public ValueTask PutAsync(ContentRef content, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        pace.Count(bytes.Length);
        objects.Put(content.Digest, bytes.Span);
        Arrived(content);
        return ValueTask.CompletedTask;
    }

    public ValueTask BeginAsync(ContentRef content, CancellationToken cancellationToken)
    {
        DropUnfinished();
        _current = content;
        _present = objects.Contains(content.Digest);
        _writer = _present ? null : objects.BeginWrite(content.Size);
        return ValueTask.CompletedTask;
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        pace.Count(bytes.Length);
        if (!_present)
        {
            _writer!.Write(bytes.Span);
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask CompleteAsync(CancellationToken cancellationToken)
    {
        if (!_present)
        {
            ObjectWriter writer = _writer!;
            _writer = null;
            writer.Commit(_current.Digest);
        }

        Arrived(_current);
        return ValueTask.CompletedTask;
    }

    /// <summary>The stream starts again at a content's beginning: what was written of one is of no use.</summary>
    public void DropUnfinished()
    {
        _writer?.Dispose();
        _writer = null;
    }

    public void Dispose() => DropUnfinished();

    private void Arrived(ContentRef content)
    {
        board.Arrived(content.Digest);
        if (_stored.Add(content.Digest))
        {
            Volatile.Write(ref _done, _stored.Count);
        }
    }
}
