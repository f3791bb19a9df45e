using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Problems;

/// <summary>Answers what endpoints throw, and gives bodiless errors of the routing (404, 405) the same form.</summary>
internal sealed class ProblemMiddleware(RequestDelegate next, ILogger<ProblemMiddleware> logger)
{
    private static readonly Error Unforeseen = new("Proxy.Internal", "the proxy met an unforeseen fault: see its log", ErrorKind.Internal);

    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone: nobody to answer.
        }
        catch (FailureException e) when (!context.Response.HasStarted)
        {
            await new ProblemResult(e.Error).ExecuteAsync(context);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await new ProblemResult(new Error("Request.Malformed", e.Message, ErrorKind.InvalidInput)).ExecuteAsync(context);
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            // The last line of defence; nothing is hidden, and Kestrel would answer an empty 500.
            ProxyLog.Unhandled(logger, context.Request.Method, context.Request.Path, e);
            await new ProblemResult(Unforeseen).ExecuteAsync(context);
        }

        if (!context.Response.HasStarted && context.Response.StatusCode is StatusCodes.Status404NotFound or StatusCodes.Status405MethodNotAllowed)
        {
            string detail = context.Response.StatusCode == StatusCodes.Status404NotFound
                ? $"there is nothing at {context.Request.Path}"
                : $"{context.Request.Path} does not answer {context.Request.Method}";
            Problem problem = new(Microsoft.AspNetCore.WebUtilities.ReasonPhrases.GetReasonPhrase(context.Response.StatusCode), context.Response.StatusCode, detail, "Request.NoSuchEndpoint");
            await context.Response.WriteAsJsonAsync(problem, ProxyJson.Readable.Problem, Problem.MediaType, context.RequestAborted);
        }
    }
}
