namespace Starlight.Infrastructure.WorkerImages;

/// <summary>Filesystem images on disk: read-only, complete or absent.</summary>
internal static class FilesystemImageFile
{
    public static async Task WriteAsync(string path, ReadOnlyMemory<byte> image, CancellationToken cancellationToken)
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
