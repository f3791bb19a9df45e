using System.Net.Http.Headers;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Images.Sources;

namespace Starlight.Infrastructure.Registry;

/// <summary>
/// The bytes <c>[start, end)</c> of a blob, across as many connections as it takes: a dropped one is opened again with a Range from where it stopped, each time through
/// the registry, because the signed storage address it redirects to expires. Every read has its own budget of retries, so a long blob survives any number of drops
/// that make progress in between. Gives exactly the bytes asked for or throws; the digest is checked by <see cref="VerifyingStream"/>.
/// </summary>
internal sealed class ResumingBlobStream : ReadOnlyStream
{
    /// <summary>Enough to skip at network speed with little memory.</summary>
    private const int SkipBuffer = 64 * 1024;

    private readonly RegistryClient _client;
    private readonly RegistryRequest _request;
    private readonly Digest _digest;
    private readonly long _size;
    private readonly long _start;
    private readonly long _end;

    /// <summary>Next byte to hand out.</summary>
    private long _offset;

    /// <summary>The open connection; both null between connections.</summary>
    private HttpResponseMessage? _response;
    private Stream? _body;

    private ResumingBlobStream(RegistryClient client, RegistryRequest request, Digest digest, long size, long start, long end)
    {
        _client = client;
        _request = request;
        _digest = digest;
        _size = size;
        _start = start;
        _end = end;
        _offset = start;
    }

    /// <summary>A part rather than the whole: the registry must be able to serve parts, since skipping there could mean reading gigabytes.</summary>
    private bool IsPart => _start > 0 || _end < _size;

    /// <summary>Opens the first connection, so that a blob that does not exist fails here and not at the first read.</summary>
    public static async Task<ResumingBlobStream> OpenAsync(
        RegistryClient client, RegistryRequest request, Digest digest, long size, long start, long end, CancellationToken cancellationToken)
    {
        ResumingBlobStream stream = new(client, request, digest, size, start, end);
        try
        {
            if (start < end)
            {
                await client.Retry.RunAsync(stream.ConnectAsync, cancellationToken);
            }

            return stream;
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty || _offset == _end)
        {
            return 0;
        }

        Memory<byte> wanted = buffer[..(int)Math.Min(buffer.Length, _end - _offset)];
        int read;
        try
        {
            read = await ReadOnceAsync(wanted, cancellationToken);
        }
        catch (TransientRegistryException e)
        {
            _client.Logger.BlobResumed(_client.Registry, _digest.ToString(), _offset, _size, e.Message);
            read = await _client.Retry.RunAsync(
                async token =>
                {
                    await ConnectAsync(token);
                    return await ReadOnceAsync(wanted, token);
                },
                cancellationToken);
        }

        _offset += read;
        if (_offset == _end)
        {
            Disconnect();
        }

        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Disconnect();
        }

        base.Dispose(disposing);
    }

    /// <summary>At least one byte, or <see cref="TransientRegistryException"/>.</summary>
    private async Task<int> ReadOnceAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        using CancellationTokenSource idle = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        idle.CancelAfter(_client.Options.IdleTimeout);
        HttpResponseMessage? response = _response;
        try
        {
            // A read that was cancelled before has closed the connection: the next one starts with a new one.
            int read = _body is null ? 0 : await _body.ReadAsync(buffer, idle.Token);
            return read > 0 ? read : throw new HttpIOException(HttpRequestError.ResponseEnded, $"the body ended at byte {_offset} of {_end}");
        }
        catch (Exception e)
        {
            Disconnect();
            if (_client.TransportFault(e, response, cancellationToken) is { } fault)
            {
                throw fault;
            }

            throw;
        }
    }

    private async Task<bool> ConnectAsync(CancellationToken cancellationToken)
    {
        Disconnect();
        bool ranged = IsPart || _offset > 0;
        RegistryRequest request = ranged ? _request with { Range = new RangeHeaderValue(_offset, _end - 1) } : _request;
        HttpResponseMessage response = await _client.SendAsync(request, cancellationToken);
        try
        {
            if (!response.IsSuccessStatusCode)
            {
                throw await _client.FailureAsync(response, request, cancellationToken);
            }

            long skip = 0;
            if (response.StatusCode == System.Net.HttpStatusCode.PartialContent)
            {
                CheckRange(response.Content.Headers.ContentRange);
            }
            else
            {
                CheckLength(response.Content.Headers.ContentLength);
                skip = _offset;
            }

            if (skip > 0 && IsPart)
            {
                throw new FailureException(RegistryErrors.NoRanges(_client.Registry, _digest));
            }

            Stream body = await response.Content.ReadAsStreamAsync(cancellationToken);
            (_response, _body) = (response, body);
            await SkipAsync(skip, cancellationToken);
            return true;
        }
        catch
        {
            response.Dispose();
            (_response, _body) = (null, null);
            throw;
        }
    }

    /// <summary>206 must start where we stopped: anything else would splice foreign bytes into the blob.</summary>
    private void CheckRange(ContentRangeHeaderValue? range)
    {
        if (range?.From != _offset || (range.HasLength && range.Length != _size))
        {
            throw new FailureException(RegistryErrors.BlobMismatch(_client.Registry, _digest, $"asked for bytes {_offset}-{_end - 1} of {_size} it answered '{range}'"));
        }
    }

    /// <summary>Found at once rather than after the transfer.</summary>
    private void CheckLength(long? length)
    {
        if (length is { } actual && actual != _size)
        {
            throw new FailureException(RegistryErrors.BlobMismatch(_client.Registry, _digest, $"it has {actual} bytes where its descriptor gives it {_size}"));
        }
    }

    /// <summary>For registries that answer a Range with the whole blob.</summary>
    private async Task SkipAsync(long count, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[(int)Math.Min(SkipBuffer, count)];
        while (count > 0)
        {
            count -= await ReadOnceAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, count)), cancellationToken);
        }
    }

    private void Disconnect()
    {
        _body?.Dispose();
        _response?.Dispose();
        (_response, _body) = (null, null);
    }
}
