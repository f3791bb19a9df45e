using Starlight.Domain.Content;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Objects;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>Where the bundle reader puts contents: the object store verifies each, then the board releases whoever waits for it. One thread at a time; <see cref="Done"/> may be read by any.</summary>
internal sealed class ContentSink(ObjectStore objects, ArrivalBoard board) : IBundleContentSink, IDisposable
{
    private ObjectWriter? _writer;
    private int _done;

    /// <summary>Contents stored since the beginning.</summary>
    public int Done => Volatile.Read(ref _done);

    public void Put(ContentRef content, ReadOnlySpan<byte> bytes)
    {
        objects.Put(content.Digest, bytes);
        Arrived(content);
    }

    public void Begin(ContentRef content)
    {
        _writer?.Dispose();
        _writer = objects.BeginWrite(content.Size);
    }

    public void Write(ReadOnlySpan<byte> bytes) => _writer!.Write(bytes);

    public void Complete(ContentRef content)
    {
        ObjectWriter writer = _writer!;
        _writer = null;
        writer.Commit(content.Digest);
        Arrived(content);
    }

    public void Dispose() => _writer?.Dispose();

    private void Arrived(ContentRef content)
    {
        board.Arrived(content.Digest);
        Volatile.Write(ref _done, _done + 1);
    }
}
