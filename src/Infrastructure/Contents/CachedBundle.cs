using Microsoft.Win32.SafeHandles;

namespace Starlight.Infrastructure.Contents;

/// <summary>An open bundle of the cache. It stays readable until disposed, even if the cache removes the file meanwhile.</summary>
public sealed class CachedBundle : IDisposable
{
    /// <summary>What a reader copies at a time; large enough to keep system calls few, small enough for many readers.</summary>
    private const int CopyBuffer = 128 * 1024;

    private readonly SafeFileHandle _handle;
    private readonly GrowingFile? _growing;

    private CachedBundle(SafeFileHandle handle, GrowingFile? growing, long? length) => (_handle, _growing, Length) = (handle, growing, length);

    /// <summary>Length in bytes; null while the bundle is being built.</summary>
    public long? Length { get; private set; }

    /// <summary>Waits until the bundle is complete and returns its length.</summary>
    /// <exception cref="IOException">The build failed.</exception>
    public async Task<long> WaitCompleteAsync(CancellationToken cancellationToken)
    {
        Length ??= await _growing!.WaitFinishedAsync(cancellationToken);
        return Length.Value;
    }

    /// <summary>Copies all of it from <paramref name="offset"/>, following the build if it is still under way.</summary>
    /// <exception cref="IOException">The build failed: what was copied is not the whole bundle.</exception>
    public async Task CopyToAsync(System.IO.Pipelines.PipeWriter output, long offset, CancellationToken cancellationToken)
    {
        long position = offset;
        while (true)
        {
            long available = Length is { } length ? length - position : await _growing!.WaitBeyondAsync(position, cancellationToken);
            if (available <= 0)
            {
                return;
            }

            Memory<byte> buffer = output.GetMemory(CopyBuffer);
            int read = await RandomAccess.ReadAsync(_handle, buffer[..(int)Math.Min(buffer.Length, available)], position, cancellationToken);
            if (read == 0)
            {
                throw new EndOfStreamException("a cached bundle is shorter than it was");
            }

            position += read;
            output.Advance(read);
            if ((await output.FlushAsync(cancellationToken)).IsCompleted)
            {
                return;
            }
        }
    }

    /// <summary>A seekable stream of a complete bundle. It shares this object's handle: dispose this object after it.</summary>
    public Stream OpenSeekable() => Length is not null
        ? new FileStream(new SafeFileHandle(_handle.DangerousGetHandle(), ownsHandle: false), FileAccess.Read, bufferSize: 0)
        : throw new InvalidOperationException("the bundle is still growing");

    public void Dispose() => _handle.Dispose();

    internal static CachedBundle Growing(GrowingFile file) => new(Open(file.Path), file, file.FinishedLength);

    /// <exception cref="InvalidDataException">The file does not have <paramref name="length"/> bytes.</exception>
    internal static CachedBundle Finished(string path, long length)
    {
        SafeFileHandle handle = Open(path);
        if (RandomAccess.GetLength(handle) == length)
        {
            return new CachedBundle(handle, growing: null, length);
        }

        handle.Dispose();
        throw new InvalidDataException($"{path} has another length");
    }

    private static SafeFileHandle Open(string path) => File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, FileOptions.SequentialScan);
}
