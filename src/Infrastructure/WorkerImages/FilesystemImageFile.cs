using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts.Native;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>Filesystem images on disk: read-only, complete or absent.</summary>
internal static class FilesystemImageFile
{
    /// <summary>Makes the directory and writes the file.</summary>
    /// <exception cref="FailureException"><c>Image.NoSpace</c>, <c>Image.NotWritten</c>.</exception>
    public static async Task WriteAsync(string path, ReadOnlyMemory<byte> image, CancellationToken cancellationToken)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await WriteFileAsync(path, image, cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FailureException(
                (e.HResult & 0xFFFF) is Errno.ENOSPC or Errno.EDQUOT
                    ? new Error("Image.NoSpace", $"writing {path} failed, the disk or quota is full: free space or remove unused images", ErrorKind.ResourceExhausted)
                    : new Error("Image.NotWritten", $"writing {path} failed: {e.Message}", ErrorKind.Internal),
                e);
        }
    }

    private static async Task WriteFileAsync(string path, ReadOnlyMemory<byte> image, CancellationToken cancellationToken)
    {
        string temporary = path + ".tmp";
        await using (FileStream stream = new(temporary, new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            BufferSize = 0,
            UnixCreateMode = UnixFileMode.UserRead,
        }))
        {
            await stream.WriteAsync(image, cancellationToken);
        }

        // Not flushed here: the record may survive a power cut that the image does not. Load checks the digest and forgets such a tree.
        File.Move(temporary, path, overwrite: true);
    }
}
