using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Headers;
using Microsoft.Net.Http.Headers;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>
/// Which bytes of a representation a request is answered with (RFC 9110 sections 13.1.1, 13.1.5, 14.2): all of it, one range, nothing. A request for several ranges, or for one of
/// another version, gets all of it.
/// </summary>
/// <param name="Status">200, 206, 412 or 416.</param>
internal readonly record struct RequestedPart(int Status, long Offset, long Length)
{
    /// <param name="request">Its method is GET.</param>
    /// <param name="tag">Names the representation's bytes.</param>
    /// <param name="length">Of the representation.</param>
    public static RequestedPart Of(HttpRequest request, EntityTagHeaderValue tag, long length)
    {
        RequestHeaders headers = request.GetTypedHeaders();
        if (!IsExpected(headers, tag))
        {
            return new RequestedPart(StatusCodes.Status412PreconditionFailed, 0, 0);
        }

        if (headers.Range is not { } wanted || wanted.Unit != "bytes" || wanted.Ranges.Count != 1 || (headers.IfRange is { } condition && condition.EntityTag?.Compare(tag, useStrongComparison: true) != true))
        {
            return new RequestedPart(StatusCodes.Status200OK, 0, length);
        }

        RangeItemHeaderValue range = wanted.Ranges.First();
        long from = range.From ?? Math.Max(0, length - range.To!.Value);
        long to = range.From is null ? length - 1 : Math.Min(range.To ?? long.MaxValue, length - 1);
        return from > to ? new RequestedPart(StatusCodes.Status416RangeNotSatisfiable, 0, 0) : new RequestedPart(StatusCodes.Status206PartialContent, from, to - from + 1);
    }

    /// <summary>Whether the version that the request insists on is the one that there is.</summary>
    private static bool IsExpected(RequestHeaders headers, EntityTagHeaderValue tag) =>
        headers.IfMatch.Count == 0 || headers.IfMatch.Any(t => t.Equals(EntityTagHeaderValue.Any) || t.Compare(tag, useStrongComparison: true));
}
