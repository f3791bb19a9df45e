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
}
