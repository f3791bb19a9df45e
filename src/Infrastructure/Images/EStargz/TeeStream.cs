using Starlight.Infrastructure.Images.Layers;
using Starlight.Infrastructure.Streams;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>Keeps what is read. Leaves both open.</summary>
internal sealed class TeeStream(Stream source, BlobFile copy) : ForwardReadStream
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int read = await source.ReadAsync(buffer, cancellationToken);
        await copy.WriteAsync(buffer[..read], cancellationToken);
        return read;
    }
}
