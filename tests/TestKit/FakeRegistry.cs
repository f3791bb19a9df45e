using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Starlight.Domain.Content;

namespace Starlight.TestKit;

/// <summary>One request as the fake saw it.</summary>
public sealed record SeenRequest(string Method, string Path, string Query, string? Authorization, string? Range, string? ContentRange, long? ContentLength, string Body);

/// <summary>
/// A registry in this process whose behaviour a test decides: it stores blobs and manifests like a real one, and before it answers a request it asks the faults that
/// the test has queued. Answers are deterministic. Use <see cref="RegistryServer"/> for everything but faults.
/// </summary>
public sealed class FakeRegistry : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Lock _lock = new();
    private readonly List<SeenRequest> _requests = [];
    private readonly List<Fault> _faults = [];
    private readonly ConcurrentDictionary<string, MemoryStream> _uploads = new(StringComparer.Ordinal);
    private int _nextUpload;

    private FakeRegistry(WebApplication app) => _app = app;

    /// <summary>Blobs by digest text, for all repositories.</summary>
    public ConcurrentDictionary<string, byte[]> Blobs { get; } = new(StringComparer.Ordinal);

    /// <summary>Manifests by <c>REPOSITORY:TAG</c> and <c>REPOSITORY@DIGEST</c>.</summary>
    public ConcurrentDictionary<string, (byte[] Raw, string MediaType)> Manifests { get; } = new(StringComparer.Ordinal);

    /// <summary>Answer 200 with everything to requests for a part, as simple servers do.</summary>
    public bool IgnoresRanges { get; set; }

    /// <summary>Do not append what a PATCH brings beyond this many bytes, and say so in Range; null for no limit.</summary>
    public int? TakesPerPatch { get; set; }

    /// <summary><c>HOST:PORT</c>.</summary>
    public string Host { get; private set; } = "";

    public Uri Address { get; private set; } = new("http://unused");

    /// <summary>Every request so far, in order of arrival, faulty ones included.</summary>
    public IReadOnlyList<SeenRequest> Requests
    {
        get
        {
            lock (_lock)
            {
                return [.. _requests];
            }
        }
    }

    /// <param name="tls">Serve HTTPS with a certificate that nobody trusts.</param>
    /// <param name="host">A loopback name or address; another than 127.0.0.1 counts as another host.</param>
    public static async Task<FakeRegistry> StartAsync(bool tls = false, string host = "127.0.0.1")
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                if (tls)
                {
                    listen.UseHttps(SelfSigned(host));
                }
            });
        });
        FakeRegistry? registry = null;
        WebApplication app = builder.Build();
        app.Run(context => registry!.HandleAsync(context));
        registry = new FakeRegistry(app);
        await app.StartAsync();
        int port = new Uri(app.Urls.First()).Port;
        registry.Host = $"{host}:{port}";
        registry.Address = new Uri($"{(tls ? "https" : "http")}://{registry.Host}/");
        return registry;
    }

    public string AddBlob(byte[] content)
    {
        string digest = Digest.Of(content).ToString();
        Blobs[digest] = content;
        return digest;
    }

    public string AddManifest(string repository, string tag, string json, string mediaType)
    {
        byte[] raw = Encoding.UTF8.GetBytes(json);
        string digest = Digest.Of(raw).ToString();
        Manifests[$"{repository}:{tag}"] = (raw, mediaType);
        Manifests[$"{repository}@{digest}"] = (raw, mediaType);
        return digest;
    }

    /// <summary>
    /// Before the next <paramref name="times"/> requests for which <paramref name="match"/> holds are served, <paramref name="act"/> is called; if it gives true it has
    /// answered. Faults are asked in the order of queueing, each until it is used up.
    /// </summary>
    public void OnRequest(Func<HttpRequest, bool> match, Func<HttpContext, Task<bool>> act, int times = int.MaxValue)
    {
        lock (_lock)
        {
            _faults.Add(new Fault(match, act, times));
        }
    }

    /// <summary>Answers with a status and, if given, a Retry-After header and an error document.</summary>
    public void Fail(string method, string pathPart, int status, int times = int.MaxValue, string? retryAfter = null, string body = "") =>
        OnRequest(
            r => r.Method == method && r.Path.Value!.Contains(pathPart, StringComparison.Ordinal),
            async context =>
            {
                context.Response.StatusCode = status;
                if (retryAfter is not null)
                {
                    context.Response.Headers.RetryAfter = retryAfter;
                }

                if (method != "HEAD")
                {
                    await context.Response.WriteAsync(body);
                }

                return true;
            },
            times);

    /// <summary>Serves <paramref name="bytes"/> bytes of what a GET asks for and drops the connection.</summary>
    public void DropAfter(string pathPart, int bytes, int times) =>
        OnRequest(
            r => r.Method == "GET" && r.Path.Value!.Contains(pathPart, StringComparison.Ordinal),
            async context =>
            {
                await ServeBlobAsync(context, pathPart, dropAfter: bytes);
                return true;
            },
            times);

    /// <summary>Redirects requests to the same path elsewhere.</summary>
    public void Redirect(string pathPart, Uri to, int status = 307) =>
        OnRequest(
            r => r.Path.Value!.Contains(pathPart, StringComparison.Ordinal),
            context =>
            {
                context.Response.StatusCode = status;
                context.Response.Headers.Location = new Uri(to, context.Request.Path.Value + context.Request.QueryString.Value).ToString();
                return Task.FromResult(true);
            });

    /// <summary>Answers 401 to every request below /v2/ without one of the tokens, naming <paramref name="realm"/>.</summary>
    public void RequireBearer(string realm, Func<HttpRequest, bool> isAccepted) =>
        OnRequest(
            r => r.Path.StartsWithSegments("/v2", StringComparison.Ordinal) && !isAccepted(r),
            context =>
            {
                string name = string.Join('/', context.Request.Path.Value!.Split('/').Skip(2).TakeWhile(p => p is not ("manifests" or "blobs")));
                string actions = context.Request.Method is "GET" or "HEAD" ? "pull" : "pull,push";
                context.Response.StatusCode = 401;
                context.Response.Headers.WWWAuthenticate = $"Bearer realm=\"{realm}\",service=\"fake\",scope=\"repository:{name}:{actions}\"";
                return Task.FromResult(true);
            });

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task HandleAsync(HttpContext context)
    {
        using MemoryStream body = new();
        try
        {
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            return;
        }

        context.Items["body"] = body.ToArray();
        List<Fault> faults;
        lock (_lock)
        {
            string text = body.Length < 4096 ? Encoding.UTF8.GetString(body.ToArray()) : "";
            HttpRequest r = context.Request;
            _requests.Add(new SeenRequest(
                r.Method, r.Path.Value!, r.QueryString.Value ?? "", Header(r, "Authorization"), Header(r, "Range"), Header(r, "Content-Range"), r.ContentLength, text));
            faults = [.. _faults];
        }

        foreach (Fault fault in faults)
        {
            if (fault.Match(context.Request) && fault.TakeOne() && await fault.Act(context))
            {
                return;
            }
        }

        await ServeAsync(context, body.ToArray());
    }

    private async Task ServeAsync(HttpContext context, byte[] body)
    {
        string[] parts = context.Request.Path.Value!.Trim('/').Split('/');
        if (parts is ["v2"])
        {
            return;
        }

        int uploads = Array.IndexOf(parts, "uploads");
        if (uploads > 0)
        {
            await ServeUploadAsync(context, string.Join('/', parts[1..(uploads - 1)]), parts[(uploads + 1)..], body);
        }
        else if (parts is [_, .., "blobs", string digest])
        {
            await ServeBlobAsync(context, digest, dropAfter: null);
        }
        else if (parts is [_, .., "manifests", string reference])
        {
            await ServeManifestAsync(context, string.Join('/', parts[1..^2]), reference, body);
        }
        else
        {
            context.Response.StatusCode = 404;
        }
    }

    private async Task ServeManifestAsync(HttpContext context, string repository, string reference, byte[] body)
    {
        string separator = reference.Contains(':', StringComparison.Ordinal) ? "@" : ":";
        if (context.Request.Method == "PUT")
        {
            string digest = Digest.Of(body).ToString();
            Manifests[$"{repository}{separator}{reference}"] = Manifests[$"{repository}@{digest}"] = (body, context.Request.ContentType ?? "");
            context.Response.StatusCode = 201;
            context.Response.Headers["Docker-Content-Digest"] = digest;
        }
        else if (Manifests.TryGetValue($"{repository}{separator}{reference}", out (byte[] Raw, string MediaType) manifest))
        {
            context.Response.ContentType = manifest.MediaType;
            context.Response.ContentLength = manifest.Raw.Length;
            context.Response.Headers["Docker-Content-Digest"] = Digest.Of(manifest.Raw).ToString();
            if (context.Request.Method == "GET")
            {
                await context.Response.Body.WriteAsync(manifest.Raw);
            }
        }
        else
        {
            context.Response.StatusCode = 404;
            await context.Response.WriteAsync("""{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}""");
        }
    }

    private async Task ServeBlobAsync(HttpContext context, string digest, int? dropAfter)
    {
        if (!Blobs.TryGetValue(digest, out byte[]? blob))
        {
            context.Response.StatusCode = 404;
            return;
        }

        ReadOnlyMemory<byte> content = blob;
        string? range = Header(context.Request, "Range");
        if (range is not null && !IgnoresRanges)
        {
            string[] ends = range["bytes=".Length..].Split('-');
            int from = int.Parse(ends[0], CultureInfo.InvariantCulture);
            int to = ends[1].Length == 0 ? blob.Length - 1 : Math.Min(int.Parse(ends[1], CultureInfo.InvariantCulture), blob.Length - 1);
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {from}-{to}/{blob.Length}";
            content = content[from..(to + 1)];
        }

        context.Response.ContentLength = content.Length;
        if (context.Request.Method == "HEAD")
        {
            return;
        }

        await context.Response.Body.WriteAsync(dropAfter is { } limit ? content[..Math.Min(limit, content.Length)] : content);
        if (dropAfter is not null)
        {
            await context.Response.Body.FlushAsync();
            context.Abort();
        }
    }

    private async Task ServeUploadAsync(HttpContext context, string repository, string[] rest, byte[] body)
    {
        HttpResponse response = context.Response;
        if (context.Request.Method == "POST")
        {
            string id = Interlocked.Increment(ref _nextUpload).ToString(CultureInfo.InvariantCulture);
            _uploads[id] = new MemoryStream();
            response.StatusCode = 202;
            response.Headers.Location = $"/v2/{repository}/blobs/uploads/{id}?state=0";
            return;
        }

        if (rest is not [string upload] || !_uploads.TryGetValue(upload, out MemoryStream? stored))
        {
            response.StatusCode = 404;
            return;
        }

        switch (context.Request.Method)
        {
            case "GET":
                response.StatusCode = 204;
                break;

            case "PATCH":
                // Strict, as the specification asks: a chunk that does not follow on is refused.
                string? range = Header(context.Request, "Content-Range");
                if (range is not null && !range.StartsWith($"{stored.Length}-", StringComparison.Ordinal))
                {
                    response.StatusCode = 416;
                    break;
                }

                stored.Write(body, 0, Math.Min(body.Length, TakesPerPatch ?? body.Length));
                response.StatusCode = 202;
                break;

            case "PUT":
                stored.Write(body);
                string wanted = context.Request.Query["digest"].ToString();
                if (Digest.Of(stored.ToArray()).ToString() != wanted)
                {
                    response.StatusCode = 400;
                    await response.WriteAsync("""{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}""");
                    return;
                }

                Blobs[wanted] = stored.ToArray();
                _uploads.TryRemove(upload, out _);
                response.StatusCode = 201;
                return;

            case "DELETE":
                _uploads.TryRemove(upload, out _);
                response.StatusCode = 204;
                return;
        }

        response.Headers.Location = $"/v2/{repository}/blobs/uploads/{upload}?state={stored.Length}";
        response.Headers.Range = $"0-{Math.Max(0, stored.Length - 1)}";
    }

    /// <summary>Appends to the newest upload session, as if part of a chunk had arrived before its connection broke.</summary>
    public void AppendToUpload(ReadOnlySpan<byte> bytes) => _uploads[_nextUpload.ToString(CultureInfo.InvariantCulture)].Write(bytes);

    /// <summary>Forgets all upload sessions, as a restarted registry may.</summary>
    public void LoseUploads() => _uploads.Clear();

    private static string? Header(HttpRequest request, string name) => request.Headers.TryGetValue(name, out Microsoft.Extensions.Primitives.StringValues value) ? value.ToString() : null;

    private static X509Certificate2 SelfSigned(string host)
    {
        using RSA key = RSA.Create(2048);
        CertificateRequest request = new($"CN={host}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), password: null);
    }

    private sealed class Fault(Func<HttpRequest, bool> match, Func<HttpContext, Task<bool>> act, int times)
    {
        private int _left = times;

        public Func<HttpRequest, bool> Match { get; } = match;

        public Func<HttpContext, Task<bool>> Act { get; } = act;

        public bool TakeOne() => Volatile.Read(ref _left) > 0 && Interlocked.Decrement(ref _left) >= 0;
    }
}
