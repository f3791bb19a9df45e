using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Problems;

/// <summary>
/// RFC 9457 problem details. <c>code</c> is for programs and stable, <c>detail</c> is one line for people; <c>subjects</c>, where it is there, says what to ask again without (<see cref="Error.Subjects"/>).
/// </summary>
internal sealed record Problem(
    [property: JsonPropertyName("title")] string Title,
    [property: JsonPropertyName("status")] int Status,
    [property: JsonPropertyName("detail")] string Detail,
    [property: JsonPropertyName("code")] string Code,
    [property: JsonPropertyName("subjects"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? Subjects = null)
{
    public const string MediaType = "application/problem+json";

    public static Problem Of(Error error)
    {
        int status = ProblemTable.StatusOf(error.Kind);
        return new Problem(ReasonPhrases.GetReasonPhrase(status), status, error.Message.ReplaceLineEndings(" "), error.Code, error.Subjects.Count > 0 ? error.Subjects : null);
    }
}

/// <summary>Writes an error as the whole answer.</summary>
internal sealed class ProblemResult(Error error) : IResult
{
    public Task ExecuteAsync(HttpContext httpContext)
    {
        Problem problem = Problem.Of(error);
        httpContext.Response.StatusCode = problem.Status;
        return httpContext.Response.WriteAsJsonAsync(problem, ProxyJson.Readable.Problem, Problem.MediaType, httpContext.RequestAborted);
    }
}
