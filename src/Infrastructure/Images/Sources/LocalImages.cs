using System.IO.Compression;
using Microsoft.Win32.SafeHandles;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Images.Sources;

/// <summary>Opens images on disk. What an archive is, is seen from its content: gzip from its first bytes, layout or docker archive from the files in it.</summary>
internal static class LocalImages
{
    /// <summary>ENOSPC and EDQUOT as .NET reports them on Linux.</summary>
    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;

    /// <summary>Fails with NotFound, InvalidInput or DataCorrupt.</summary>
    public static async Task<IImageSource> OpenAsync(LocalLocation location, CancellationToken cancellationToken)
    {
        string shown = location.DisplayName;
        if (location.IsDirectory)
        {
            return Directory.Exists(location.Path)
                ? Choose(new DirectoryFiles(location.Path), location)
                : throw new FailureException(SourceErrors.NotFound(location.Path));
        }

        SafeFileHandle handle = OpenArchive(location.Path);
        try
        {
            if (IsGzip(handle))
            {
                SafeFileHandle plain = await DecompressAsync(handle, shown, cancellationToken);
                handle.Dispose();
                handle = plain;
            }

            return Choose(new TarFiles(handle, TarIndex.Build(handle, shown, cancellationToken)), location);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            handle.Dispose();
            throw SourceErrors.FromIO(shown, e);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static IImageSource Choose(IImageFiles files, LocalLocation location)
    {
        // Current docker versions write both documents; the layout says more.
        if (Has(files, OciLayoutSource.IndexFile))
        {
            return new OciLayoutSource(files, location);
        }

        return !location.IsDirectory && Has(files, DockerArchiveSource.ManifestFile)
            ? new DockerArchiveSource(files, location)
            : throw new FailureException(SourceErrors.NotAnImage(location.DisplayName));
    }

    private static bool Has(IImageFiles files, string path)
    {
        FileWindow? found = files.Find(path);
        found?.Close();
        return found is not null;
    }

    private static SafeFileHandle OpenArchive(string path)
    {
        try
        {
            return File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.Asynchronous);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw SourceErrors.FromIO(path, e);
        }
    }

    // RFC 1952, section 2.3.1: ID1 = 1f, ID2 = 8b
    private static bool IsGzip(SafeFileHandle handle)
    {
        Span<byte> magic = stackalloc byte[2];
        return RandomAccess.Read(handle, magic, 0) == magic.Length && magic[0] == 0x1f && magic[1] == 0x8b;
    }

    /// <summary>
    /// Unpacks gzip into a private file below TMPDIR: layers are read in any order, some twice, and gzip has only one direction. The file has no name any more
    /// when this returns, so that it goes away with the handle, even after a crash.
    /// </summary>
    private static async Task<SafeFileHandle> DecompressAsync(SafeFileHandle compressed, string source, CancellationToken cancellationToken)
    {
        string path = Path.Combine(Path.GetTempPath(), $"starlight-{Guid.NewGuid():N}.tar");
        FileStreamOptions options = new()
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Options = FileOptions.Asynchronous,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        FileStream plain = new(path, options);
        try
        {
            File.Delete(path);
            await using FileWindowStream window = new(new FileWindow(compressed, 0, RandomAccess.GetLength(compressed), OwnsHandle: false), source);
            await using GZipStream gzip = new(window, CompressionMode.Decompress);
            await gzip.CopyToAsync(plain, cancellationToken);
            await plain.FlushAsync(cancellationToken);
            return plain.SafeFileHandle;
        }
        catch (InvalidDataException e)
        {
            await plain.DisposeAsync();
            throw new FailureException(SourceErrors.Malformed(source, $"its gzip data is damaged ({e.Message})"), e);
        }
        catch (IOException e) when ((e.HResult & 0xffff) is NoSpace or QuotaExceeded)
        {
            await plain.DisposeAsync();
            throw new FailureException(
                new Error("Source.NoSpace", $"{source} cannot be unpacked: no space left in {Path.GetTempPath()}; free some or set TMPDIR to another directory", ErrorKind.ResourceExhausted), e);
        }
        catch
        {
            await plain.DisposeAsync();
            throw;
        }
    }
}
