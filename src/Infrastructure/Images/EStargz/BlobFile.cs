using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Images.Layers;
using Starlight.Infrastructure.Streams;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>
/// A blob being made, in a temporary file without a name: the file is unlinked as soon as it is open, so nothing stays behind however the process ends. Written once
/// front to back while its digest is computed, then read as often as wanted.
/// </summary>
internal sealed class BlobFile : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly SafeFileHandle _file;

    public BlobFile(string directory)
    {
        Directory.CreateDirectory(directory);
        string path = Path.Combine(directory, "layer-" + Path.GetRandomFileName());
        _file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, FileOptions.Asynchronous);
        File.Delete(path);
    }

    public long Length { get; private set; }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await RandomAccess.WriteAsync(_file, bytes, Length, cancellationToken);
        _hash.AppendData(bytes.Span);
        Length += bytes.Length;
    }

    /// <summary>sha256 of everything written. Call once, at the end.</summary>
    public Digest Complete() => new(_hash.GetHashAndReset());

    /// <summary>An independent reader of a part of the file. Valid until this is disposed.</summary>
    public Stream Open(long offset, long length) => new Reader(_file, offset, length);

    public void Dispose()
    {
        _hash.Dispose();
        _file.Dispose();
    }

    private sealed class Reader(SafeFileHandle file, long offset, long length) : ForwardReadStream
    {
        private long _read;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int wanted = (int)Math.Min(buffer.Length, length - _read);
            int read = wanted == 0 ? 0 : await RandomAccess.ReadAsync(file, buffer[..wanted], offset + _read, cancellationToken);
            _read += read;
            return read;
        }
    }
}
