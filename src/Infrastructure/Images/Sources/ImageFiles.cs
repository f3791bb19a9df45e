using Microsoft.Win32.SafeHandles;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Images.Sources;

/// <summary>The files of an image on disk, by relative path with slashes: a directory or a tar archive. Safe for concurrent use.</summary>
internal interface IImageFiles : IAsyncDisposable
{
    /// <summary>Null if there is no regular file of that name. Fails with PermissionDenied or Unavailable if the disk will not give it.</summary>
    FileWindow? Find(string path);
}

/// <summary>A run of bytes in an open file.</summary>
/// <param name="Handle">The file.</param>
/// <param name="Offset">Where the run starts.</param>
/// <param name="Length">How long it is, bytes.</param>
/// <param name="OwnsHandle">Whether whoever reads the run closes the file.</param>
internal sealed record FileWindow(SafeFileHandle Handle, long Offset, long Length, bool OwnsHandle)
{
    /// <summary>The bytes <c>[offset, offset + length)</c> of this run.</summary>
    public Stream Open(long offset, long length, string source) => new FileWindowStream(this with { Offset = Offset + offset, Length = length }, source);

    /// <summary>The whole run in memory; it must not be longer than <paramref name="limit"/>.</summary>
    public async Task<byte[]> ReadAllAsync(int limit, string source, string what, CancellationToken cancellationToken)
    {
        await using Stream stream = Open(0, Length, source);
        if (Length > limit)
        {
            throw new FailureException(new Error("Source.TooLarge", $"{what} of {source} has {Length} bytes; {limit} are accepted", ErrorKind.ResourceExhausted));
        }

        byte[] raw = new byte[Length];
        int read = await stream.ReadAtLeastAsync(raw, raw.Length, throwOnEndOfStream: false, cancellationToken);
        return read == raw.Length ? raw : throw new FailureException(SourceErrors.Malformed(source, $"{what} ends early"));
    }

    public void Close()
    {
        if (OwnsHandle)
        {
            Handle.Dispose();
        }
    }
}

/// <summary>Reads a window by position, so that many can read one file at once.</summary>
internal sealed class FileWindowStream(FileWindow window, string source) : ReadOnlyStream
{
    private long _position;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int wanted = (int)Math.Min(buffer.Length, window.Length - _position);
        if (wanted == 0)
        {
            return 0;
        }

        try
        {
            int read = await RandomAccess.ReadAsync(window.Handle, buffer[..wanted], window.Offset + _position, cancellationToken);
            _position += read;
            return read;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw SourceErrors.FromIO(source, e);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            window.Close();
        }

        base.Dispose(disposing);
    }
}

/// <summary>A layout as a directory.</summary>
internal sealed class DirectoryFiles(string root) : IImageFiles
{
    public FileWindow? Find(string path)
    {
        string full = Path.Combine(root, path);
        try
        {
            SafeFileHandle handle = File.OpenHandle(full, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.Asynchronous);
            return new FileWindow(handle, 0, RandomAccess.GetLength(handle), OwnsHandle: true);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw SourceErrors.FromIO(full, e);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

/// <summary>A layout or docker archive as a plain tar, indexed once.</summary>
internal sealed class TarFiles(SafeFileHandle handle, TarIndex index) : IImageFiles
{
    public FileWindow? Find(string path) => index.Find(path) is { } at ? new FileWindow(handle, at.Offset, at.Length, OwnsHandle: false) : null;

    public ValueTask DisposeAsync()
    {
        handle.Dispose();
        return ValueTask.CompletedTask;
    }
}
