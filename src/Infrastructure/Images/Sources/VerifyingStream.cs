using System.Security.Cryptography;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Images.Sources;

/// <summary>
/// Passes a blob through and checks its size and digest: the read that would return 0 throws instead if they differ. So a reader that has seen the end has seen the
/// right bytes, and one that acts on bytes before the end must be ready to take it back. Owns the inner stream.
/// </summary>
/// <param name="inner">The bytes as they come.</param>
/// <param name="expected">What they must be.</param>
/// <param name="mismatch">Makes the error from what differs.</param>
internal sealed class VerifyingStream(Stream inner, Descriptor expected, Func<string, Error> mismatch) : ReadOnlyStream
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private long _seen;
    private bool _verified;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty || _verified)
        {
            return 0;
        }

        int read = await inner.ReadAsync(buffer, cancellationToken);
        if (read == 0)
        {
            Verify();
            return 0;
        }

        _seen += read;
        if (_seen > expected.Size)
        {
            throw new FailureException(mismatch($"it has more than the {expected.Size} bytes that its descriptor gives it"));
        }

        _hash.AppendData(buffer.Span[..read]);
        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hash.Dispose();
            inner.Dispose();
        }

        base.Dispose(disposing);
    }

    public override async ValueTask DisposeAsync()
    {
        _hash.Dispose();
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }

    private void Verify()
    {
        if (_seen != expected.Size)
        {
            throw new FailureException(mismatch($"it has {_seen} bytes where its descriptor gives it {expected.Size}"));
        }

        Span<byte> raw = stackalloc byte[Digest.Size];
        _hash.GetCurrentHash(raw);
        Digest actual = new(raw);
        if (actual != expected.Digest)
        {
            throw new FailureException(mismatch($"its content has the digest {actual}"));
        }

        _verified = true;
    }
}
