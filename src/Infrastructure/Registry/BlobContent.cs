using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Registry;

/// <summary>A blob as the body of one request, streamed from its source. Can be sent once; owns the source.</summary>
internal sealed class BlobContent : HttpContent
{
    /// <summary>Arbitrary: a few socket buffers.</summary>
    private const int BufferSize = 128 * 1024;

    private readonly Stream _source;
    private readonly Descriptor _descriptor;
    private readonly Action<long> _sentUpTo;
    private bool _sent;

    /// <param name="source">Gives exactly the descriptor's bytes.</param>
    /// <param name="descriptor">Names the blob.</param>
    /// <param name="sentUpTo">Told how many bytes have gone out.</param>
    public BlobContent(Stream source, Descriptor descriptor, Action<long> sentUpTo)
    {
        _source = source;
        _descriptor = descriptor;
        _sentUpTo = sentUpTo;
        Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        Headers.ContentLength = descriptor.Size;
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        if (_sent)
        {
            // The HTTP stack wants the body again, for instance on a connection that turned out to be dead: the whole step is repeated with a new source.
            throw new TransientRegistryException(
                new Error("Registry.UploadInterrupted", $"the upload of blob {_descriptor.Digest} was interrupted: try again", ErrorKind.Unavailable), retryAfter: null, inner: null);
        }

        _sent = true;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            long sent = 0;
            int read;
            while ((read = await _source.ReadAsync(buffer, cancellationToken)) > 0)
            {
                if (sent + read > _descriptor.Size)
                {
                    throw new FailureException(RegistryErrors.SourceSize(_descriptor.Digest, $"its source has more than {_descriptor.Size} bytes"));
                }

                await stream.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                sent += read;
                _sentUpTo(sent);
            }

            if (sent < _descriptor.Size)
            {
                throw new FailureException(RegistryErrors.SourceSize(_descriptor.Digest, $"its source ended after {sent} of {_descriptor.Size} bytes"));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _source.Dispose();
        }

        base.Dispose(disposing);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _descriptor.Size;
        return true;
    }
}
