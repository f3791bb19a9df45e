using System.Buffers;
using System.Globalization;
using MediatR;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using Starlight.Application.Scanner;
using Starlight.Domain.References;
using Starlight.Domain.Scanning;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Problems;
using Starlight.Presentation.Proxy.Scanning;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>
/// <c>POST /scanner</c> takes webhooks of registries; <c>GET /scanner/jobs[?state=STATE][&amp;ref=REF][&amp;limit=N]</c> tells what has become of them. Both ask for the
/// scanner's secret if there is one. Without rules both say that they are not set up.
/// </summary>
internal sealed class ScannerEndpoint(IMediator mediator, WebhookReader reader, RegistryNames registries, ScannerSettings settings, ScanWorker worker)
{
    /// <summary>A notification of distribution with all its references has some tens of KiB. Arbitrary.</summary>
    public const int MaxBody = 1 << 20;

    private const int DefaultLimit = 100;

    private static readonly Error NotSetUp = new("Scanner.NotSetUp", "this proxy has no rules for webhooks: see 'scanner' in docs/webhooks.md", ErrorKind.Unsupported);

    private static readonly Error Refused = new("Scanner.SecretWrong", "send the scanner's secret in the Authorization header", ErrorKind.Unauthenticated);

    private readonly ScannerSecret? _secret = settings.Secret is null ? null : new ScannerSecret(settings.Secret);

    public static void Map(IEndpointRouteBuilder routes, bool isSetUp)
    {
        // They have a secret of their own: registries have no account.
        if (isSetUp)
        {
            routes.MapPost("/scanner", (HttpContext context, ScannerEndpoint endpoint) => endpoint.AcceptAsync(context)).ChecksItself();
            routes.MapGet("/scanner/jobs", (HttpContext context, ScannerEndpoint endpoint) => endpoint.ListAsync(context)).ChecksItself();
        }
        else
        {
            routes.MapPost("/scanner", (HttpContext context) => new ProblemResult(NotSetUp).ExecuteAsync(context)).ChecksItself();
            routes.MapGet("/scanner/jobs", (HttpContext context) => new ProblemResult(NotSetUp).ExecuteAsync(context)).ChecksItself();
        }
    }

    /// <summary>1. who is it; 2. can it be read; 3. read it, no more than allowed; 4. queue what it means.</summary>
    private async Task AcceptAsync(HttpContext context)
    {
        // 1.
        if (!await AdmitAsync(context))
        {
            return;
        }

        // 2.
        string? mediaType = context.Request.GetTypedHeaders().ContentType?.MediaType.Value?.ToLowerInvariant();
        if (!WebhookReader.Understands(mediaType))
        {
            await RefuseAsync(context, StatusCodes.Status415UnsupportedMediaType, "Scanner.MediaTypeUnknown", $"send {WebhookReader.MediaTypes}");
            return;
        }

        // 3.
        if (await ReadAsync(context) is not { } body)
        {
            await RefuseAsync(context, StatusCodes.Status413PayloadTooLarge, "Scanner.EventTooLarge", $"a notification may have {MaxBody} bytes");
            return;
        }

        Result<WebhookContent> content = reader.Read(mediaType!, body);
        if (!content.IsSuccess)
        {
            await new ProblemResult(content.Error).ExecuteAsync(context);
            return;
        }

        // 4.
        Result<AcceptedPushes> accepted = await mediator.Send(new AcceptPushesCommand(content.Value.Pushes), context.RequestAborted);
        if (!accepted.IsSuccess)
        {
            await new ProblemResult(accepted.Error).ExecuteAsync(context);
            return;
        }

        worker.Wake();
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        ScannerAnswer answer = new(accepted.Value.Queued, accepted.Value.Known, [.. content.Value.Ignored, .. accepted.Value.Ignored]);
        await context.Response.WriteAsJsonAsync(answer, ProxyJson.Readable.ScannerAnswer, contentType: null, context.RequestAborted);
    }

    private async Task ListAsync(HttpContext context)
    {
        if (!await AdmitAsync(context))
        {
            return;
        }

        Result<ListScanJobsQuery> query = ParseList(context.Request.Query);
        Result<IReadOnlyList<ScanJob>> listed = query.IsSuccess ? await mediator.Send(query.Value, context.RequestAborted) : query.Error;
        await (listed.IsSuccess
            ? context.Response.WriteAsJsonAsync(new ScanJobList([.. listed.Value.Select(ScanJobAnswer.Of)]), ProxyJson.Readable.ScanJobList, contentType: null, context.RequestAborted)
            : new ProblemResult(listed.Error).ExecuteAsync(context));
    }

    private Result<ListScanJobsQuery> ParseList(IQueryCollection query)
    {
        ScanState? state = null;
        if (query["state"] is [{ Length: > 0 } name])
        {
            if (!Enum.TryParse(name, ignoreCase: true, out ScanState parsed) || !Enum.IsDefined(parsed) || char.IsAsciiDigit(name[0]))
            {
                return new Error("Scanner.StateUnknown", $"'{name}' is not a state: write {string.Join(", ", Enum.GetNames<ScanState>()).ToLowerInvariant()}", ErrorKind.InvalidInput);
            }

            state = parsed;
        }

        ImageReference? source = null;
        if (query["ref"] is [{ Length: > 0 } text])
        {
            Result<ImageReference> reference = registries.Parse(text);
            if (!reference.IsSuccess)
            {
                return reference.Error;
            }

            source = reference.Value;
        }

        // What is not a number is as much out of range as 0.
        int limit = query["limit"] is [{ Length: > 0 } number] ? int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int count) ? count : 0 : DefaultLimit;
        return new ListScanJobsQuery(state, source, limit);
    }

    private async Task<bool> AdmitAsync(HttpContext context)
    {
        if (_secret is null || _secret.Admits(context.Request.Headers.Authorization is [{ } only] ? only : null))
        {
            return true;
        }

        context.Response.Headers.Append(HeaderNames.WWWAuthenticate, "Bearer realm=\"scanner\"");
        await new ProblemResult(Refused).ExecuteAsync(context);
        return false;
    }

    /// <summary>Null if it is too long.</summary>
    private static async Task<ReadOnlyMemory<byte>?> ReadAsync(HttpContext context)
    {
        if (context.Request.ContentLength > MaxBody)
        {
            return null;
        }

        // The server's usual limit is for requests whose bodies have no meaning.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = MaxBody;
        }

        ArrayBufferWriter<byte> body = new();
        while (true)
        {
            int read;
            try
            {
                read = await context.Request.Body.ReadAsync(body.GetMemory(), context.RequestAborted);
            }
            catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
            {
                // The server counts what chunks are wrapped in, too.
                return null;
            }

            if (read == 0)
            {
                return body.WrittenMemory;
            }

            body.Advance(read);
        }
    }

    /// <summary>Statuses that only HTTP has.</summary>
    private static Task RefuseAsync(HttpContext context, int status, string code, string detail)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new Problem(ReasonPhrases.GetReasonPhrase(status), status, detail, code), ProxyJson.Readable.Problem, Problem.MediaType, context.RequestAborted);
    }
}
