using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Registry;

/// <summary>
/// Stores one blob (distribution-spec 1.1, "Pushing blobs"). Used once.
/// <list type="number">
/// <item>HEAD: done if it is there.</item>
/// <item>A blob of at most one chunk: POST opens a session, one PUT with the digest carries everything.</item>
/// <item>A larger one: POST; PATCH per chunk, each to the Location that the answer before gave; PUT with the digest.</item>
/// <item>After a failed chunk GET asks the session how far it came and the rest of the chunk is sent again. A registry that lost the session, or cannot
/// resume it, gets a new one from the blob's beginning.</item>
/// <item>A registry that takes no PATCH gets the whole blob streamed in one PUT.</item>
/// </list>
/// Memory: one chunk (<see cref="RegistryOptions.UploadChunkSize"/>).
/// </summary>
internal sealed class BlobUpload(RegistryRepository repository, Descriptor descriptor, Func<CancellationToken, Task<Stream>> open, IProgress<long>? progress)
{
    /// <summary>How often a blob is begun again. Arbitrary: chunks have retries of their own, so this means repeated loss of whole sessions.</summary>
    private const int RestartLimit = 3;

    /// <summary>A registry that wants larger chunks than this gets none: they would have to be held in memory.</summary>
    private const int LargestChunk = 64 * 1024 * 1024;

    private readonly RegistryClient _client = repository.Client;

    /// <summary>Bytes reported; a byte that is sent again is not reported again.</summary>
    private long _reported;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        // Step 1.
        if (await repository.HasBlobAsync(descriptor.Digest, cancellationToken))
        {
            return;
        }

        for (int restarts = 0; ; restarts++)
        {
            try
            {
                // Steps 2, 3 and 5.
                await (descriptor.Size <= _client.Options.UploadChunkSize || _client.ChunksUnsupported
                    ? PushWholeAsync(cancellationToken)
                    : PushChunksAsync(cancellationToken));
                return;
            }
            catch (ChunksUnsupportedException)
            {
                _client.ChunksUnsupported = true;
                _client.Logger.ChunksUnsupported(_client.Registry);
            }
            catch (SessionLostException e) when (restarts < RestartLimit)
            {
                _client.Logger.UploadRestarted(_client.Registry, descriptor.Digest.ToString(), e.Message);
            }
            catch (SessionLostException e)
            {
                throw new FailureException(
                    new Error("Registry.UploadLost", $"registry {_client.Registry} keeps losing the upload of blob {descriptor.Digest} ({e.Message}): try again later", ErrorKind.Unavailable), e);
            }
        }
    }

    /// <summary>Steps 2 and 5. Each try is a session of its own, so it can be repeated as a whole.</summary>
    private async Task PushWholeAsync(CancellationToken cancellationToken)
    {
        bool repeated = false;
        await _client.Retry.RunAsync(
            async token =>
            {
                // The answer may have been lost after the blob was stored.
                if (repeated && await repository.HasBlobAsync(descriptor.Digest, token))
                {
                    return true;
                }

                repeated = true;
                Uri location;
                using (HttpResponseMessage started = await repository.StartUploadAsync(descriptor.Digest, token))
                {
                    location = _client.ResolveLocation(started);
                }

                await FinishAsync(location, async opening => new BlobContent(await open(opening), descriptor, ReportUpTo), token);
                return true;
            },
            cancellationToken);
        ReportUpTo(descriptor.Size);
    }

    /// <summary>Step 3.</summary>
    private async Task PushChunksAsync(CancellationToken cancellationToken)
    {
        Session session = await _client.Retry.RunAsync(StartAsync, cancellationToken);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(session.ChunkSize);
        try
        {
            await using Stream content = await open(cancellationToken);
            long sent = 0;
            while (sent < descriptor.Size)
            {
                int wanted = (int)Math.Min(session.ChunkSize, descriptor.Size - sent);
                int length = await content.ReadAtLeastAsync(buffer.AsMemory(0, wanted), wanted, throwOnEndOfStream: false, cancellationToken);
                if (length < wanted)
                {
                    throw new FailureException(RegistryErrors.SourceSize(descriptor.Digest, $"its source ended after {sent + length} of {descriptor.Size} bytes"));
                }

                Chunk chunk = new(sent, buffer.AsMemory(0, length));
                await _client.Retry.RunAsync(token => SendChunkAsync(session, chunk, token), cancellationToken);
                sent += length;
                ReportUpTo(sent);
            }

            // The source checks its digest when its end is read; it must not be skipped because all bytes have come.
            if (await content.ReadAsync(buffer.AsMemory(0, 1), cancellationToken) != 0)
            {
                throw new FailureException(RegistryErrors.SourceSize(descriptor.Digest, $"its source has more than {descriptor.Size} bytes"));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        bool repeated = false;
        await _client.Retry.RunAsync(
            async token =>
            {
                if (repeated && await repository.HasBlobAsync(descriptor.Digest, token))
                {
                    return true;
                }

                repeated = true;
                await FinishAsync(session.Location, RegistryRepository.Nothing, token);
                return true;
            },
            cancellationToken);
    }

    private async Task<Session> StartAsync(CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await repository.StartUploadAsync(descriptor.Digest, cancellationToken);
        long least = response.Headers.TryGetValues("OCI-Chunk-Min-Length", out IEnumerable<string>? values)
            && long.TryParse(values.FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out long stated) ? stated : 0;
        return least > LargestChunk
            ? throw new ChunksUnsupportedException()
            : new Session(_client.ResolveLocation(response), (int)Math.Max(least, _client.Options.UploadChunkSize));
    }

    /// <summary>Sends what the session does not have yet of one chunk. Repeated by the caller after a passing fault.</summary>
    private async Task<bool> SendChunkAsync(Session session, Chunk chunk, CancellationToken cancellationToken)
    {
        // Step 4.
        if (session.IsUncertain)
        {
            await AskProgressAsync(session, chunk, cancellationToken);
        }

        while (session.Received < chunk.End)
        {
            ReadOnlyMemory<byte> rest = chunk.Bytes[(int)(session.Received - chunk.Start)..];
            session.IsUncertain = true;
            (RegistryRequest request, Task<HttpResponseMessage> sending) = repository.SendToUpload(
                HttpMethod.Patch, session.Location, descriptor.Digest, _ => Task.FromResult(ChunkContent(session.Received, rest)), cancellationToken);
            using HttpResponseMessage response = await sending;
            switch (response.StatusCode)
            {
                case HttpStatusCode.Accepted or HttpStatusCode.NoContent or HttpStatusCode.Created:
                    session.Location = _client.ResolveLocation(response);
                    long received = Received(response) ?? chunk.End;
                    if (received <= session.Received || received > chunk.End)
                    {
                        throw new SessionLostException($"it says that it has {received} bytes when it was sent those up to {chunk.End}");
                    }

                    (session.Received, session.IsUncertain) = (received, false);
                    break;

                case HttpStatusCode.MethodNotAllowed or HttpStatusCode.NotImplemented or HttpStatusCode.UnsupportedMediaType:
                    throw new ChunksUnsupportedException();

                case HttpStatusCode.NotFound or HttpStatusCode.Gone or HttpStatusCode.BadRequest or HttpStatusCode.RequestedRangeNotSatisfiable:
                    throw new SessionLostException($"HTTP {(int)response.StatusCode} to the chunk at byte {session.Received}");

                default:
                    throw await _client.FailureAsync(response, request, cancellationToken);
            }
        }

        return true;
    }

    /// <summary>end-13: GET on the session says in its Range header how much has arrived.</summary>
    private async Task AskProgressAsync(Session session, Chunk chunk, CancellationToken cancellationToken)
    {
        (RegistryRequest request, Task<HttpResponseMessage> asking) = repository.SendToUpload(HttpMethod.Get, session.Location, descriptor.Digest, content: null, cancellationToken);
        using HttpResponseMessage response = await asking;
        if (response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Gone or HttpStatusCode.BadRequest or HttpStatusCode.MethodNotAllowed)
        {
            throw new SessionLostException($"HTTP {(int)response.StatusCode} to the question how far it came");
        }

        if (!response.IsSuccessStatusCode)
        {
            throw await _client.FailureAsync(response, request, cancellationToken);
        }

        // "0-0" means one byte and, from distribution, also none. None is far more likely; were it one, the next chunk or the digest would be refused.
        long received = Received(response) ?? 0;
        received = received == 1 && chunk.Start == 0 ? 0 : received;
        if (received < chunk.Start || received > chunk.End)
        {
            throw new SessionLostException($"it has {received} bytes, which is not between {chunk.Start} and {chunk.End}");
        }

        session.Location = response.Headers.Location is null ? session.Location : _client.ResolveLocation(response);
        (session.Received, session.IsUncertain) = (received, false);
    }

    /// <summary>end-6: PUT LOCATION?digest=…, with the blob or, after chunks, with nothing.</summary>
    private async Task FinishAsync(Uri location, Func<CancellationToken, Task<HttpContent>> content, CancellationToken cancellationToken)
    {
        UriBuilder target = new(location);
        string digest = "digest=" + Uri.EscapeDataString(descriptor.Digest.ToString());
        target.Query = target.Query.Length > 1 ? $"{target.Query[1..]}&{digest}" : digest;
        (RegistryRequest request, Task<HttpResponseMessage> sending) = repository.SendToUpload(HttpMethod.Put, target.Uri, descriptor.Digest, content, cancellationToken);
        using HttpResponseMessage response = await sending;
        if (response.StatusCode == HttpStatusCode.NotFound)
        {
            throw new SessionLostException("HTTP 404 to its end");
        }

        if (!response.IsSuccessStatusCode)
        {
            throw await _client.FailureAsync(response, request, cancellationToken);
        }
    }

    private static HttpContent ChunkContent(long start, ReadOnlyMemory<byte> bytes)
    {
        ReadOnlyMemoryContent content = new(bytes);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");

        // Not the Content-Range of RFC 9110: the distribution specification leaves out unit and total.
        content.Headers.TryAddWithoutValidation("Content-Range", $"{start}-{start + bytes.Length - 1}");
        return content;
    }

    /// <summary><c>Range: 0-LAST</c>, LAST inclusive; some registries write <c>bytes=0-LAST</c>. Null if there is none.</summary>
    private static long? Received(HttpResponseMessage response)
    {
        if (!response.Headers.NonValidated.TryGetValues("Range", out HeaderStringValues values) || values.ToString() is not { Length: > 0 } range)
        {
            return null;
        }

        ReadOnlySpan<char> last = range.AsSpan(range.LastIndexOf('-') + 1).Trim();
        return long.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out long value) && value < long.MaxValue ? value + 1 : null;
    }

    private void ReportUpTo(long bytes)
    {
        if (bytes > _reported)
        {
            progress?.Report(bytes - _reported);
            _reported = bytes;
        }
    }

    private sealed record Chunk(long Start, ReadOnlyMemory<byte> Bytes)
    {
        public long End => Start + Bytes.Length;
    }

    private sealed class Session(Uri location, int chunkSize)
    {
        public int ChunkSize { get; } = chunkSize;

        /// <summary>Where the next request goes; every answer may change it.</summary>
        public Uri Location { get; set; } = location;

        /// <summary>Bytes that the registry has confirmed.</summary>
        public long Received { get; set; }

        /// <summary>A chunk was sent and not answered: the registry may have more than <see cref="Received"/>.</summary>
        public bool IsUncertain { get; set; }
    }

    private sealed class SessionLostException(string message) : Exception(message);

    private sealed class ChunksUnsupportedException : Exception;
}
