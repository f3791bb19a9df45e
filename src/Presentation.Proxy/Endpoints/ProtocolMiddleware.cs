using Microsoft.AspNetCore.Http;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Problems;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>
/// Says on every answer which program and which protocol this is, and refuses requests in a protocol it does not speak before anything
/// is misunderstood. A request that names none is taken as the current one, so that curl works.
/// </summary>
internal sealed class ProtocolMiddleware(RequestDelegate next)
{
    public const string ProtocolHeader = "Starlight-Protocol";
    public const string VersionHeader = "Starlight-Version";
    public const string Protocol = "1";

    public Task InvokeAsync(HttpContext context)
    {
        context.Response.Headers[ProtocolHeader] = Protocol;
        context.Response.Headers[VersionHeader] = ProxyVersion.Text;
        string? asked = context.Request.Headers[ProtocolHeader];
        return asked is null or Protocol
            ? next(context)
            : new ProblemResult(new Error("Protocol.Unsupported", $"this proxy ({ProxyVersion.Text}) speaks Starlight-Protocol {Protocol}, not '{asked}': use matching versions of daemon and proxy", ErrorKind.InvalidInput)).ExecuteAsync(context);
    }
}
