using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Content;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.Containerd;

/// <summary>A blob of the content store.</summary>
public sealed record BlobInfo(Digest Digest, long Size, IReadOnlyDictionary<string, string> Labels);

public partial class ContainerdClient
{
    /// <summary>Bytes per Write message: as containerd's own clients send, and far below its message limit of 16 MiB.</summary>
    private const int WriteChunk = 1024 * 1024;

    /// <summary>What is known of a blob, or null.</summary>
    public async Task<BlobInfo?> FindBlobAsync(Digest digest, CancellationToken cancellationToken)
    {
        InfoResponse? response = await OrNullIfNotFound(CallAsync(ContentMethods.Info, new InfoRequest { Digest = digest.ToString() }, cancellationToken));
        return response is null ? null : FromWire(response.Info, digest);
    }

    public async Task<bool> HasBlobAsync(Digest digest, CancellationToken cancellationToken) => await FindBlobAsync(digest, cancellationToken) is not null;

    public async Task<IReadOnlyDictionary<string, string>> GetBlobLabelsAsync(Digest digest, CancellationToken cancellationToken) =>
        FromWire((await CallAsync(ContentMethods.Info, new InfoRequest { Digest = digest.ToString() }, cancellationToken)).Info, digest).Labels;

    public async Task SetBlobLabelsAsync(Digest digest, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken)
    {
        if (labels.Count == 0)
        {
            return;
        }

        UpdateRequest request = new() { Info = new Info { Digest = digest.ToString() }, UpdateMask = new FieldMask() };
        Add(request.Info.Labels, labels);
        request.UpdateMask.Paths.AddRange(labels.Keys.Select(key => "labels." + key));
        await CallAsync(ContentMethods.Update, request, cancellationToken);
    }

    public async Task PutBlobAsync(Descriptor blob, ReadOnlyMemory<byte> content, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken)
    {
        if (content.Length != blob.Size || Digest.Of(content.Span) != blob.Digest)
        {
            throw Mismatch(blob, null);
        }

        // A writer's ref is locked while it writes, and a ref of our own cannot be: of two writers of one blob, the later gets ALREADY_EXISTS.
        await WriteBlobAsync($"starlight-{Guid.NewGuid():N}", blob, AsStream(content), labels, cancellationToken);
    }

    /// <summary>
    /// Stores a blob from a stream. containerd verifies it and keeps nothing of one that does not match. One that is there already, in this namespace or another, is not read; it gets the labels given.
    /// </summary>
    /// <param name="reference">Names the write; a second writer under the same name fails with Unavailable.</param>
    /// <param name="blob">Size and digest the content must have.</param>
    /// <param name="content">Read to its end.</param>
    /// <param name="labels">Labels of the blob.</param>
    /// <param name="cancellationToken">Ends the write; what was written is dropped.</param>
    /// <exception cref="FailureException">DataCorrupt <c>Containerd.BlobMismatch</c>.</exception>
    public async Task WriteBlobAsync(string reference, Descriptor blob, Stream content, IReadOnlyDictionary<string, string> labels, CancellationToken cancellationToken)
    {
        try
        {
            await using GrpcDuplexCall<WriteContentRequest, WriteContentResponse> call = _channel.Duplex(ContentMethods.Write, _options, cancellationToken);
            await WriteAsync(call, reference, blob, content, labels, cancellationToken);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.AlreadyExists)
        {
            // containerd has put it under our lease in the same transaction (metadata/content.go, Writer).
            await SetBlobLabelsAsync(blob.Digest, labels, cancellationToken);
        }
        catch
        {
            await DropAsync(reference);
            throw;
        }
    }

    public async Task<ReadOnlyMemory<byte>> ReadBlobAsync(Descriptor blob, CancellationToken cancellationToken)
    {
        byte[] content = new byte[blob.Size];
        int written = 0;
        await foreach (ReadOnlyMemory<byte> part in ReadBlobPartsAsync(blob.Digest, cancellationToken))
        {
            if (part.Length > content.Length - written)
            {
                throw Mismatch(blob, null);
            }

            part.CopyTo(content.AsMemory(written));
            written += part.Length;
        }

        return written == content.Length && Digest.Of(content) == blob.Digest ? content : throw Mismatch(blob, null);
    }

    /// <summary>The blob in parts of at most 32 KiB, unverified. Fails with NotFound.</summary>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadBlobPartsAsync(Digest digest, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (ReadContentResponse part in StreamAsync(ContentMethods.Read, new ReadContentRequest { Digest = digest.ToString() }, cancellationToken))
        {
            yield return part.Data.Memory;
        }
    }

    /// <summary>All blobs, or those that match any of the filters, e.g. <c>labels."containerd.io/distribution.source.docker.io"</c>. Blobs that are not sha256 are left out.</summary>
    public async IAsyncEnumerable<BlobInfo> ListBlobsAsync(IReadOnlyList<string> filters, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (ListContentResponse batch in StreamAsync(ContentMethods.List, new ListContentRequest { Filters = { filters } }, cancellationToken))
        {
            foreach (Info info in batch.Info)
            {
                if (Digest.TryParse(info.Digest, out Digest digest))
                {
                    yield return FromWire(info, digest);
                }
            }
        }
    }

    /// <summary>Deletes a blob whether or not something refers to it. False if there was none.</summary>
    public async Task<bool> DeleteBlobAsync(Digest digest, CancellationToken cancellationToken) =>
        await OrNullIfNotFound(CallAsync(ContentMethods.Delete, new DeleteContentRequest { Digest = digest.ToString() }, cancellationToken)) is not null;

    /// <summary>
    /// containerd answers every message, and one that it does not like with the end of the call, so messages go one by one:
    /// 1. Stat with the expected digest opens the writer, or ends with ALREADY_EXISTS before any content is sent. An offset at the very end means that another namespace has the
    ///    content and shares it: then nothing is sent. (Sending it all the same would work, but containerd 1.6 keeps the copy of such a write when it fails, even when aborted.)
    /// 2. Writes, the first at offset 0, which drops what an earlier writer of the ref left.
    /// 3. Commit verifies size and digest.
    /// </summary>
    private static async Task WriteAsync(
        GrpcDuplexCall<WriteContentRequest, WriteContentResponse> call,
        string reference,
        Descriptor blob,
        Stream content,
        IReadOnlyDictionary<string, string> labels,
        CancellationToken cancellationToken)
    {
        // 1.
        WriteContentResponse opened = await ExchangeAsync(
            call, new WriteContentRequest { Action = WriteAction.Stat, Ref = reference, Total = blob.Size, Expected = blob.Digest.ToString() });

        // 2.
        byte[] buffer = new byte[(int)Math.Clamp(blob.Size, 1, WriteChunk)];
        long offset = opened.Offset == blob.Size ? blob.Size : 0;
        int read;
        while (opened.Offset != blob.Size && (read = await content.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken)) > 0)
        {
            // The message is sent before the buffer is filled again.
            ByteString data = UnsafeByteOperations.UnsafeWrap(buffer.AsMemory(0, read));
            await ExchangeAsync(call, new WriteContentRequest { Action = WriteAction.Write, Offset = offset, Data = data });
            offset += read;
        }

        // 3.
        WriteContentRequest commit = new() { Action = WriteAction.Commit, Offset = offset, Total = blob.Size, Expected = blob.Digest.ToString() };
        Add(commit.Labels, labels);
        try
        {
            await ExchangeAsync(call, commit);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.FailedPrecondition)
        {
            throw Mismatch(blob, e);
        }
    }

    private static async Task<WriteContentResponse> ExchangeAsync(GrpcDuplexCall<WriteContentRequest, WriteContentResponse> call, WriteContentRequest request)
    {
        await call.WriteAsync(request);
        return await call.ReadAsync()
            ?? throw new FailureException(new Error("Containerd.WriteEnded", "containerd ended a content write without an answer: try again", ErrorKind.Unavailable));
    }

    private async Task DropAsync(string reference)
    {
        try
        {
            await CallAsync(ContentMethods.Abort, new AbortRequest { Ref = reference }, CancellationToken.None);
        }
        catch (FailureException)
        {
            // What made the write fail matters more, and containerd drops unfinished writes by itself: with their lease, or after a day.
        }
    }

    private static MemoryStream AsStream(ReadOnlyMemory<byte> content) =>
        MemoryMarshal.TryGetArray(content, out ArraySegment<byte> array)
            ? new MemoryStream(array.Array!, array.Offset, array.Count, writable: false)
            : new MemoryStream(content.ToArray(), writable: false);

    private static BlobInfo FromWire(Info info, Digest digest) => new(digest, info.Size, new Dictionary<string, string>(info.Labels, StringComparer.Ordinal));

    private static FailureException Mismatch(Descriptor blob, Exception? inner) => new(
        new Error("Containerd.BlobMismatch", $"the content given for {blob.Digest} ({blob.Size} bytes) has another size or digest{(inner is null ? "" : ": " + inner.Message)}", ErrorKind.DataCorrupt),
        inner);
}
