using System.Buffers;
using MediatR;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Headers;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;
using Starlight.Application.Delta;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Problems;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>
/// <c>GET|HEAD /starlight/contents/DIGEST?to=REF[&amp;to=REF]…&amp;platform=OS/ARCH[&amp;layers=N]</c>: one content of one of these images, for a worker where somebody waits for it while it is far back in
/// the bundle. Its digest is its ETag. With <c>Accept-Encoding: zstd</c> it comes as it is stored, unless a range of it is asked for.
/// </summary>
internal sealed class ContentEndpoint(IMediator mediator, RegistryNames registries, BundleSource source)
{
    private const string Zstd = "zstd";

    private const int CopyBuffer = 128 << 10;

    public static void Map(IEndpointRouteBuilder routes) => routes
        .MapMethods("/starlight/contents/{digest}", [HttpMethods.Get, HttpMethods.Head], (HttpContext context, string digest, ContentEndpoint endpoint) => endpoint.HandleAsync(context, digest))
        .RequireRole(Roles.Pull);

    /// <summary>1. read the request; 2. find the content in the image; 3. describe; 4. answer what needs no body; 5. send all, as stored or raw, or a range.</summary>
    private async Task HandleAsync(HttpContext context, string text)
    {
        // 1.
        Account account = AccountAuthentication.Of(context);
        Result<ImageParameters> images = ImageParameters.Read(context.Request, registries, account);
        if (!images.IsSuccess || !Digest.TryParse(text, out Digest digest))
        {
            Error malformed = new("Content.DigestMalformed", $"'{text}' is not a digest: write sha256: and 64 hexadecimal digits", ErrorKind.InvalidInput);
            await new ProblemResult(images.Error ?? malformed).ExecuteAsync(context);
            return;
        }

        // 2.
        GetContentQuery query = new(digest, images.Value.To, images.Value.Platform, images.Value.Layers) { Readable = account.Images };
        Result<ImageContent> found = await mediator.Send(query, context.RequestAborted);
        if (!found.IsSuccess)
        {
            await new ProblemResult(found.Error).ExecuteAsync(context);
            return;
        }

        // 3. An encoded content is another representation, with a tag of its own (RFC 9110 section 8.8.3.3).
        ContentRef content = found.Value.Content;
        RequestHeaders asked = context.Request.GetTypedHeaders();
        bool encoded = asked.Range is null && asked.AcceptEncoding.Any(e => e.Value == Zstd && e.Quality is null or > 0);
        EntityTagHeaderValue tag = new($"\"{digest}{(encoded ? "-" + Zstd : "")}\"");
        ResponseHeaders headers = context.Response.GetTypedHeaders();
        headers.ETag = tag;
        context.Response.ContentType = "application/octet-stream";
        context.Response.Headers.AcceptRanges = "bytes";
        context.Response.Headers.Vary = HeaderNames.AcceptEncoding;

        // 4.
        if (asked.IfNoneMatch.Any(t => t.Compare(tag, useStrongComparison: false) || t.Equals(EntityTagHeaderValue.Any)))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        if (encoded)
        {
            context.Response.Headers.ContentEncoding = Zstd;
        }

        if (HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.ContentLength = encoded ? null : content.Size;
            return;
        }

        // 5.
        await source.ReadAsync(found.Value, encoded, (stream, length) => SendAsync(context, stream, length, encoded ? null : RangeOf(asked, tag, content.Size)), context.RequestAborted);
    }

    /// <summary>The one range asked for, if it counts; several are answered with everything, as is a range of another version (RFC 9110 sections 13.1.5, 14.2).</summary>
    private static RangeItemHeaderValue? RangeOf(RequestHeaders asked, EntityTagHeaderValue tag, long size) =>
        asked.Range is { Unit.Value: "bytes", Ranges.Count: 1 } range && (asked.IfRange is null || (asked.IfRange.EntityTag?.Compare(tag, useStrongComparison: true) ?? false)) && size > 0
            ? range.Ranges.First()
            : null;

    private static async Task SendAsync(HttpContext context, Stream stream, long length, RangeItemHeaderValue? range)
    {
        (long from, long to) = range switch
        {
            null => (0, length - 1),
            { From: null, To: { } last } => (Math.Max(0, length - last), length - 1),
            { From: { } first } => (first, Math.Min(range.To ?? long.MaxValue, length - 1)),
            _ => (length, length - 1),
        };
        ResponseHeaders headers = context.Response.GetTypedHeaders();
        if (range is not null)
        {
            bool satisfiable = from < length && from <= to;
            headers.ContentRange = satisfiable ? new ContentRangeHeaderValue(from, to, length) : new ContentRangeHeaderValue(length);
            context.Response.StatusCode = satisfiable ? StatusCodes.Status206PartialContent : StatusCodes.Status416RangeNotSatisfiable;
            if (!satisfiable)
            {
                context.Response.ContentLength = 0;
                return;
            }
        }

        context.Response.ContentLength = to - from + 1;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(CopyBuffer);
        try
        {
            // Large contents can only be read from their beginning.
            for (long position = 0; position <= to;)
            {
                int read = await stream.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, to + 1 - position)), context.RequestAborted);
                if (read == 0)
                {
                    throw new EndOfStreamException("a stored content is shorter than it was");
                }

                int skip = (int)Math.Clamp(from - position, 0, read);
                await context.Response.Body.WriteAsync(buffer.AsMemory(skip, read - skip), context.RequestAborted);
                position += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
