using System.Text.Json;
using System.Threading.Channels;
using MediatR;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Starlight.Application.Notify;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Problems;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>
/// <c>POST /starlight/notify?ref=REF[&amp;platform=OS/ARCH]…[&amp;insecure=true]</c>. The answer comes when everything is stored; a client that accepts
/// <c>application/x-ndjson</c> is told about progress meanwhile.
/// </summary>
internal sealed class NotifyEndpoint(IMediator mediator, RegistryNames registries, ILogger<NotifyEndpoint> logger)
{
    private const string NdJson = "application/x-ndjson";

    public static void Map(IEndpointRouteBuilder routes) => routes.MapPost("/starlight/notify", (HttpContext context, NotifyEndpoint endpoint) => endpoint.HandleAsync(context)).RequireRole(Roles.Notify);

    private async Task HandleAsync(HttpContext context)
    {
        Result<NotifyImageCommand> command = Parse(context.Request, AccountAuthentication.Of(context));
        if (!command.IsSuccess)
        {
            await new ProblemResult(command.Error).ExecuteAsync(context);
        }
        else if (context.Request.GetTypedHeaders().Accept.Any(a => a.MediaType == NdJson))
        {
            await StreamAsync(context, command.Value);
        }
        else
        {
            Result<NotifyReport> report = await mediator.Send(command.Value, context.RequestAborted);
            Log(report);
            await (report.IsSuccess
                ? context.Response.WriteAsJsonAsync(NotifyAnswer.Of(report.Value), ProxyJson.Readable.NotifyAnswer, contentType: null, context.RequestAborted)
                : new ProblemResult(report.Error).ExecuteAsync(context));
        }
    }

    private Result<NotifyImageCommand> Parse(HttpRequest request, Account account)
    {
        Result<ImageReference> reference = ImageParameters.Ref(request, registries, account);
        if (!reference.IsSuccess)
        {
            return reference.Error;
        }

        List<Platform> platforms = [];
        foreach (string name in QueryLists.Read(request.Query["platform"]))
        {
            Result<Platform> platform = Platform.Parse(name);
            if (!platform.IsSuccess)
            {
                return platform.Error;
            }

            platforms.Add(platform.Value);
        }

        bool insecure = request.Query["insecure"] is [{ } wish] && wish.Equals("true", StringComparison.OrdinalIgnoreCase);
        return insecure && !account.Principal.IsInRole(Roles.Admin)
            ? AccessErrors.InsecureDenied(account)
            : new NotifyImageCommand(reference.Value, platforms, insecure);
    }

    /// <summary>Nothing is sent before the first progress: what fails until then (no such image, registry down) still gets its proper status.</summary>
    private async Task StreamAsync(HttpContext context, NotifyImageCommand command)
    {
        Channel<NotifyProgress> progress = Channel.CreateUnbounded<NotifyProgress>(new UnboundedChannelOptions { SingleReader = true });
        Task<Result<NotifyReport>> work = RunAsync(command with { Progress = new ChannelProgress(progress.Writer) }, progress.Writer, context.RequestAborted);
        await foreach (NotifyProgress step in progress.Reader.ReadAllAsync(context.RequestAborted))
        {
            await WriteLineAsync(context, NotifyLine.Of(step));
        }

        Result<NotifyReport> report = await work;
        Log(report);
        if (!context.Response.HasStarted && !report.IsSuccess)
        {
            await new ProblemResult(report.Error).ExecuteAsync(context);
            return;
        }

        await WriteLineAsync(context, report.IsSuccess ? NotifyLine.Of(report.Value) : NotifyLine.Of(report.Error));
    }

    private async Task<Result<NotifyReport>> RunAsync(NotifyImageCommand command, ChannelWriter<NotifyProgress> progress, CancellationToken cancellationToken)
    {
        try
        {
            return await mediator.Send(command, cancellationToken);
        }
        finally
        {
            progress.Complete();
        }
    }

    private static async Task WriteLineAsync(HttpContext context, NotifyLine line)
    {
        if (!context.Response.HasStarted)
        {
            context.Response.ContentType = NdJson;
        }

        await context.Response.BodyWriter.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(line, ProxyJson.Readable.NotifyLine), context.RequestAborted);
        await context.Response.BodyWriter.WriteAsync("\n"u8.ToArray(), context.RequestAborted);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    private void Log(Result<NotifyReport> result)
    {
        if (result.IsSuccess)
        {
            NotifyReport report = result.Value;
            ProxyLog.Notified(logger, report.Reference.ToString(), report.Digest.ToString(), report.Images.Count, report.Images.Sum(i => i.NewLayers), report.NewContents, report.NewContentBytes, report.Elapsed.TotalMilliseconds);
        }
    }

    /// <summary>Unlike <see cref="Progress{T}"/> in order and without a thread hop.</summary>
    private sealed class ChannelProgress(ChannelWriter<NotifyProgress> writer) : IProgress<NotifyProgress>
    {
        public void Report(NotifyProgress value) => writer.TryWrite(value);
    }
}
