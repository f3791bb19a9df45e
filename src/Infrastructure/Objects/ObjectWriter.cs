using System.Security.Cryptography;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Objects.Native;

namespace Starlight.Infrastructure.Objects;

/// <summary>One content on its way into the <see cref="ObjectStore"/>, hashed while it is written. For one thread at a time.</summary>
public sealed class ObjectWriter : IDisposable
{
    private readonly ObjectStore _store;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly long _expectedSize;
    private int _fd; // -1 once closed

    internal ObjectWriter(ObjectStore store, int fd, long expectedSize)
    {
        _store = store;
        _fd = fd;
        _expectedSize = expectedSize;
    }

    /// <summary>Bytes written so far.</summary>
    public long Length { get; private set; }

    /// <exception cref="FailureException"><c>Object.DigestMismatch</c> beyond the announced size, <c>Object.NoSpace</c>.</exception>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(_fd < 0, this);
        if (bytes.Length > _expectedSize - Length)
        {
            throw new FailureException(ObjectErrors.TooLong(_expectedSize));
        }

        _store.WriteAll(_fd, bytes);
        _hash.AppendData(bytes);
        Length += bytes.Length;
    }

    /// <summary>Makes the content appear in the store if it is the expected one, and closes this writer either way.</summary>
    /// <exception cref="FailureException"><c>Object.DigestMismatch</c>: size or digest differ and nothing was stored.</exception>
    public void Commit(Digest expected)
    {
        ObjectDisposedException.ThrowIf(_fd < 0, this);
        try
        {
            if (Length != _expectedSize)
            {
                throw new FailureException(ObjectErrors.SizeMismatch(expected, _expectedSize, Length));
            }

            Span<byte> raw = stackalloc byte[Digest.Size];
            _hash.GetHashAndReset(raw);
            var actual = new Digest(raw);
            if (actual != expected)
            {
                throw new FailureException(ObjectErrors.DigestMismatch(expected, actual, Length));
            }

            _store.Publish(_fd, expected);
        }
        finally
        {
            Dispose();
        }
    }

    /// <summary>Drops what was written unless it was committed.</summary>
    public void Dispose()
    {
        if (_fd >= 0)
        {
            _ = ObjectSyscalls.Close(_fd);
            _fd = -1;
            _hash.Dispose();
        }
    }
}
