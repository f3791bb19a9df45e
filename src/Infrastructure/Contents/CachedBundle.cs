using System.IO.Pipelines;

namespace Starlight.Infrastructure.Contents;

/// <summary>An open bundle of the cache. It stays readable until disposed, even if the cache removes the file meanwhile.</summary>
public sealed class CachedBundle : IDisposable
{
    /// <summary>What is sent at a time to a connection that takes it from the file. Long, because nothing is held in memory meanwhile; not longer, so that many readers take turns.</summary>
    public const int SendLength = 128 * 1024;

    /// <summary>What is copied at a time for others (TLS, HTTP/2): each reader holds so much. Below what the runtime allocates as a large object.</summary>
    private const int CopyLength = 64 * 1024;

    private readonly FileStream _file;
    private readonly GrowingFile? _growing;

    private CachedBundle(FileStream file, GrowingFile? growing, long? length) => (_file, _growing, Length) = (file, growing, length);

    /// <summary>Length in bytes; null while the bundle is being built.</summary>
    public long? Length { get; private set; }

    /// <summary>Waits until the bundle has so many bytes, or is complete; <see cref="Length"/> then says which.</summary>
    /// <param name="bytes">Null: until it is complete.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="IOException">The build failed before that.</exception>
    public async Task WaitForAsync(long? bytes, CancellationToken cancellationToken)
    {
        if (Length is null && (bytes is null || (bytes > 0 && await _growing!.WaitBeyondAsync(bytes.Value - 1, cancellationToken) == 0)))
        {
            Length = await _growing!.WaitFinishedAsync(cancellationToken);
        }
    }

    /// <summary>Writes it from <paramref name="offset"/> on, following the build if it is still under way.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="sender">What lies behind <paramref name="output"/> if that can send files; null if not.</param>
    /// <param name="offset">Of the first byte.</param>
    /// <param name="count">How many bytes; null for all that follow.</param>
    /// <param name="cancellationToken">Stops between pieces.</param>
    /// <returns>Bytes written: fewer if the reader has gone.</returns>
    /// <exception cref="IOException">The build failed: what was written is not the whole bundle.</exception>
    public async Task<long> CopyToAsync(PipeWriter output, IFileSender? sender, long offset, long? count, CancellationToken cancellationToken)
    {
        long position = offset;
        long end = offset + count ?? long.MaxValue;
        while (position < end)
        {
            long available = Length is { } length ? length - position : await _growing!.WaitBeyondAsync(position, cancellationToken);
            if (available <= 0)
            {
                break;
            }

            int piece = (int)Math.Min(Math.Min(available, end - position), sender is null ? CopyLength : SendLength);
            sender?.Announce(_file, position, piece);
            Memory<byte> memory = output.GetMemory(piece);
            if (sender?.IsTaken() != true)
            {
                // Not asynchronous: a file has no such thing on Linux, another thread would have to wait in this one's stead, and what was cached lately is in the page cache.
                sender = null;
                piece = RandomAccess.Read(_file.SafeFileHandle, memory.Span[..piece], position);
                if (piece == 0)
                {
                    throw new EndOfStreamException("a cached bundle is shorter than it was");
                }
            }

            position += piece;
            output.Advance(piece);
            if ((await output.FlushAsync(cancellationToken)).IsCompleted)
            {
                break;
            }
        }

        return position - offset;
    }

    public void Dispose() => _file.Dispose();

    internal static CachedBundle Growing(GrowingFile file) => new(Open(file.Path), file, file.FinishedLength);

    /// <exception cref="InvalidDataException">The file does not have <paramref name="length"/> bytes.</exception>
    internal static CachedBundle Finished(string path, long length)
    {
        FileStream file = Open(path);
        if (file.Length == length)
        {
            return new CachedBundle(file, growing: null, length);
        }

        file.Dispose();
        throw new InvalidDataException($"{path} has another length");
    }

    /// <summary>"Asynchronous" only because sockets take no other; Linux knows no difference.</summary>
    private static FileStream Open(string path) =>
        new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0, FileOptions.Asynchronous | FileOptions.SequentialScan);
}
