using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Starlight.Presentation.Proxy.Endpoints;

namespace Starlight.Presentation.FunctionalTests.Proxy;

public class RequestedPartTests
{
    private static readonly EntityTagHeaderValue Tag = new("\"a\"");

    [Theory]
    [InlineData(null, null, null, 200, 0, 100)]
    [InlineData("bytes=10-19", null, null, 206, 10, 10)]
    [InlineData("bytes=90-", null, null, 206, 90, 10)]
    [InlineData("bytes=90-5000", null, null, 206, 90, 10)]
    [InlineData("bytes=-10", null, null, 206, 90, 10)]
    [InlineData("bytes=-1000", null, null, 206, 0, 100)]
    [InlineData("bytes=-0", null, null, 416, 0, 0)]
    [InlineData("bytes=100-", null, null, 416, 0, 0)]
    [InlineData("bytes=0-1,5-6", null, null, 200, 0, 100)]
    [InlineData("lines=0-1", null, null, 200, 0, 100)]
    [InlineData("bytes=10-19", "\"a\"", null, 206, 10, 10)]
    [InlineData("bytes=10-19", "\"b\"", null, 200, 0, 100)]
    [InlineData("bytes=10-19", "W/\"a\"", null, 200, 0, 100)]
    [InlineData("bytes=10-19", "Sun, 22 Nov 2026 12:00:00 GMT", null, 200, 0, 100)]
    [InlineData(null, null, "\"a\"", 200, 0, 100)]
    [InlineData(null, null, "*", 200, 0, 100)]
    [InlineData("bytes=10-19", null, "\"b\"", 412, 0, 0)]
    public void Of_WhenRequestHasConditions_GivesWhatTheStandardSays(string? range, string? ifRange, string? ifMatch, int status, long offset, long length)
    {
        DefaultHttpContext context = new();
        (context.Request.Headers.Range, context.Request.Headers.IfRange, context.Request.Headers.IfMatch) = (range, ifRange, ifMatch);

        RequestedPart.Of(context.Request, Tag, 100).ShouldBe(new RequestedPart(status, offset, length));
    }

    /// <summary>How much of a growing representation an answer waits for, and what it is then.</summary>
    [Theory]
    [InlineData(null, null, null, 0, 200, 0, null, null)]
    [InlineData("bytes=10-19", null, null, 20, 206, 10, 10L, "bytes 10-19/*")]
    [InlineData("bytes=0-0", "\"a\"", "\"a\"", 1, 206, 0, 1L, "bytes 0-0/*")]
    [InlineData("bytes=10-9007199254740991", null, null, 11, 206, 10, null, "bytes 10-9007199254740991/*")]
    [InlineData("bytes=10-9223372036854775807", null, null, 11, 206, 10, null, "bytes 10-9007199254740991/*")]
    [InlineData("bytes=10-19", "\"b\"", null, 0, 200, 0, null, null)]
    [InlineData("bytes=0-1,5-6", null, null, 0, 200, 0, null, null)]
    [InlineData("bytes=10-19", null, "\"b\"", 0, 412, 0, 0L, null)]
    public void Of_WhenTheRepresentationGrows_GivesWhatIsThere(string? range, string? ifRange, string? ifMatch, long needs, int status, long offset, long? length, string? contentRange)
    {
        DefaultHttpContext context = new();
        (context.Request.Headers.Range, context.Request.Headers.IfRange, context.Request.Headers.IfMatch) = (range, ifRange, ifMatch);

        RequestedPart.Needs(context.Request, Tag).ShouldBe(needs);
        RequestedPart part = RequestedPart.Of(context.Request, Tag, length: null);
        part.ShouldBe(new RequestedPart(status, offset, length));
        part.ContentRange(length: null).ShouldBe(contentRange);
    }

    [Theory]
    [InlineData("bytes=10-")]
    [InlineData("bytes=-10")]
    [InlineData("bytes=9007199254740991-9223372036854775807")]
    public void Needs_WhenTheAnswerHasToNameTheLength_IsAllOfIt(string range)
    {
        DefaultHttpContext context = new();
        context.Request.Headers.Range = range;

        RequestedPart.Needs(context.Request, Tag).ShouldBeNull();
    }

    [Theory]
    [InlineData("bytes=10-19", "bytes 10-19/100")]
    [InlineData("bytes=10-9007199254740991", "bytes 10-99/100")]
    [InlineData("bytes=100-200", "bytes */100")]
    [InlineData(null, null)]
    public void ContentRange_WhenTheLengthIsKnown_NamesIt(string? range, string? expected)
    {
        DefaultHttpContext context = new();
        context.Request.Headers.Range = range;

        RequestedPart.Of(context.Request, Tag, 100).ContentRange(100).ShouldBe(expected);
    }
}
