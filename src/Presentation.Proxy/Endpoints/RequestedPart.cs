using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Headers;
using Microsoft.Net.Http.Headers;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>
/// Which bytes of a representation a request is answered with (RFC 9110 sections 13.1.1, 13.1.5, 14.2): all of it, one range, nothing. A request for several ranges, or for one of
/// another version, gets all of it. A representation that grows has no length yet: a range with an end is given when it is there, one whose end is a very large value is followed
/// (RFC 8673), and one without an end needs the length, which its answer has to name.
/// </summary>
/// <param name="Status">200, 206, 412 or 416.</param>
/// <param name="Offset">Of the first byte.</param>
/// <param name="Length">Null: up to the end, wherever that will be.</param>
internal readonly record struct RequestedPart(int Status, long Offset, long? Length)
{
    /// <summary>An end from here on means "whatever there will be": the largest integer that every client can write (RFC 8673 section 5).</summary>
    public const long VeryLarge = (1L << 53) - 1;

    /// <summary>How many bytes of a growing representation have to be there before <see cref="Of"/> can say what the request gets; null if all must.</summary>
    /// <param name="request">Its method is GET.</param>
    /// <param name="tag">Names the representation's bytes.</param>
    public static long? Needs(HttpRequest request, EntityTagHeaderValue tag)
    {
        RequestHeaders headers = request.GetTypedHeaders();
        return !IsExpected(headers, tag) || RangeOf(headers, tag) is not { } range ? 0 : range switch
        {
            { From: >= VeryLarge } => null,
            { From: { } from, To: >= VeryLarge } => from + 1,
            { From: not null, To: { } to } => to + 1,
            _ => null,
        };
    }

    /// <param name="request">Its method is GET.</param>
    /// <param name="tag">Names the representation's bytes.</param>
    /// <param name="length">Of the representation; null while it grows, when what <see cref="Needs"/> has said is there.</param>
    public static RequestedPart Of(HttpRequest request, EntityTagHeaderValue tag, long? length)
    {
        RequestHeaders headers = request.GetTypedHeaders();
        if (!IsExpected(headers, tag))
        {
            return new RequestedPart(StatusCodes.Status412PreconditionFailed, 0, 0);
        }

        if (RangeOf(headers, tag) is not { } range)
        {
            return new RequestedPart(StatusCodes.Status200OK, 0, length);
        }

        if (length is not { } whole)
        {
            return new RequestedPart(StatusCodes.Status206PartialContent, range.From!.Value, range.To < VeryLarge ? range.To - range.From + 1 : null);
        }

        long from = range.From ?? Math.Max(0, whole - range.To!.Value);
        long to = range.From is null ? whole - 1 : Math.Min(range.To ?? long.MaxValue, whole - 1);
        return from > to ? new RequestedPart(StatusCodes.Status416RangeNotSatisfiable, 0, 0) : new RequestedPart(StatusCodes.Status206PartialContent, from, to - from + 1);
    }

    /// <summary>What <c>Content-Range</c> says of it; null if there is no such header.</summary>
    /// <param name="length">As it was given to <see cref="Of"/>.</param>
    public string? ContentRange(long? length) => Status switch
    {
        StatusCodes.Status206PartialContent when length is { } whole => new ContentRangeHeaderValue(Offset, Offset + Length!.Value - 1, whole).ToString(),
        StatusCodes.Status206PartialContent => new ContentRangeHeaderValue(Offset, Length is { } part ? Offset + part - 1 : VeryLarge).ToString(),
        StatusCodes.Status416RangeNotSatisfiable => new ContentRangeHeaderValue(length!.Value).ToString(),
        _ => null,
    };

    /// <summary>Whether the version that the request insists on is the one that there is.</summary>
    private static bool IsExpected(RequestHeaders headers, EntityTagHeaderValue tag) =>
        headers.IfMatch.Count == 0 || headers.IfMatch.Any(t => t.Equals(EntityTagHeaderValue.Any) || t.Compare(tag, useStrongComparison: true));

    /// <summary>Null: all of it.</summary>
    private static RangeItemHeaderValue? RangeOf(RequestHeaders headers, EntityTagHeaderValue tag) =>
        headers.Range is { } wanted && wanted.Unit == "bytes" && wanted.Ranges.Count == 1 && (headers.IfRange is not { } condition || condition.EntityTag?.Compare(tag, useStrongComparison: true) == true)
            ? wanted.Ranges.First()
            : null;
}
