using System.Net;
using System.Net.Http.Headers;

namespace Starlight.Infrastructure.ProxyClient;

/// <summary>The body of a bundle that comes in parts, with the headers of the answer that begins at its beginning.</summary>
internal sealed class StripedContent : HttpContent
{
    private readonly StripedStream _stream;

    public StripedContent(StripedStream stream, HttpContentHeaders headers)
    {
        _stream = stream;
        foreach ((string name, HeaderStringValues values) in headers.NonValidated)
        {
            Headers.TryAddWithoutValidation(name, values);
        }
    }

    protected override Task<Stream> CreateContentReadStreamAsync() => Task.FromResult<Stream>(_stream);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => _stream.CopyToAsync(stream);

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _stream.Dispose();
        }

        base.Dispose(disposing);
    }
}
