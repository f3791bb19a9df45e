using System.Net;
using System.Net.Http.Headers;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Images.Sources;

namespace Starlight.Infrastructure.Registry;

/// <summary>The end points of one repository, named as in the distribution specification (spec.md, "Endpoints"). Each repeats passing faults by itself.</summary>
internal sealed class RegistryRepository(RegistryClient client, string name)
{
    public string Name => name;

    public RegistryClient Client => client;

    private string Api => $"v2/{name}/";

    /// <summary>end-3: GET manifests/REFERENCE. The digest is checked if <paramref name="reference"/> is one or the registry states one.</summary>
    /// <param name="reference">Tag or digest.</param>
    /// <param name="cancellationToken">Ends the transfer.</param>
    public Task<ManifestBlob> GetManifestAsync(string reference, CancellationToken cancellationToken)
    {
        RegistryRequest request = new(HttpMethod.Get, $"{Api}manifests/{reference}", RegistryRequest.Pull(name), Subject(reference)) { Accept = ManifestDocument.Accepted };
        return client.Retry.RunAsync(
            async token =>
            {
                using HttpResponseMessage response = await SendAsync(request, token);
                byte[] raw = await client.ReadBodyAsync(response, ManifestDocument.MaxSize, token)
                    ?? throw new FailureException(new Error(
                        "Registry.ManifestTooLarge", $"registry {client.Registry} has a manifest of more than {ManifestDocument.MaxSize} bytes for {request.Subject}", ErrorKind.ResourceExhausted));
                Digest actual = Digest.Of(raw);
                if (Digest.TryParse(reference, out Digest wanted) ? actual != wanted : StatedDigest(response) is { } stated && actual != stated)
                {
                    throw new FailureException(RegistryErrors.ManifestMismatch(client.Registry, request.Subject, $"its content has the digest {actual}"));
                }

                return ManifestDocument.Read(raw, response.Content.Headers.ContentType?.MediaType, $"{request.Subject} at registry {client.Registry}");
            },
            cancellationToken);
    }

    /// <summary>end-3: HEAD manifests/REFERENCE. False if there is none; the digest is null if the registry does not state it.</summary>
    public Task<(bool Exists, Digest? Digest)> HeadManifestAsync(string reference, CancellationToken cancellationToken)
    {
        RegistryRequest request = new(HttpMethod.Head, $"{Api}manifests/{reference}", RegistryRequest.Pull(name), Subject(reference)) { Accept = ManifestDocument.Accepted };
        return client.Retry.RunAsync<(bool, Digest?)>(
            async token =>
            {
                using HttpResponseMessage response = await client.SendAsync(request, token);
                return response.StatusCode switch
                {
                    HttpStatusCode.NotFound => (false, null),
                    _ when response.IsSuccessStatusCode => (true, StatedDigest(response)),
                    _ => throw await client.FailureAsync(response, request, token),
                };
            },
            cancellationToken);
    }

    /// <summary>end-7: PUT manifests/REFERENCE.</summary>
    public Task PutManifestAsync(string reference, ManifestBlob manifest, CancellationToken cancellationToken)
    {
        RegistryRequest request = new(HttpMethod.Put, $"{Api}manifests/{reference}", RegistryRequest.Push(name), Subject(reference))
        {
            Content = _ =>
            {
                ReadOnlyMemoryContent content = new(manifest.Raw);
                content.Headers.ContentType = new MediaTypeHeaderValue(manifest.MediaType);
                return Task.FromResult<HttpContent>(content);
            },
        };
        return client.Retry.RunAsync(
            async token =>
            {
                using HttpResponseMessage response = await SendAsync(request, token);
                return StatedDigest(response) is { } stored && stored != manifest.Digest
                    ? throw new FailureException(RegistryErrors.ManifestMismatch(client.Registry, request.Subject, $"it stored {stored} when {manifest.Digest} was pushed"))
                    : true;
            },
            cancellationToken);
    }

    /// <summary>end-2: HEAD blobs/DIGEST.</summary>
    public Task<bool> HasBlobAsync(Digest digest, CancellationToken cancellationToken)
    {
        RegistryRequest request = new(HttpMethod.Head, $"{Api}blobs/{digest}", RegistryRequest.Push(name), Subject(digest));
        return client.Retry.RunAsync(
            async token =>
            {
                using HttpResponseMessage response = await client.SendAsync(request, token);
                return response.StatusCode switch
                {
                    HttpStatusCode.NotFound => false,
                    _ when response.IsSuccessStatusCode => true,
                    _ => throw await client.FailureAsync(response, request, token),
                };
            },
            cancellationToken);
    }

    /// <summary>end-2: GET blobs/DIGEST, the bytes from <paramref name="start"/> to before <paramref name="end"/>; not verified.</summary>
    public Task<ResumingBlobStream> GetBlobAsync(Descriptor descriptor, long start, long end, CancellationToken cancellationToken)
    {
        RegistryRequest request = new(HttpMethod.Get, $"{Api}blobs/{descriptor.Digest}", RegistryRequest.Pull(name), Subject(descriptor.Digest));
        return ResumingBlobStream.OpenAsync(client, request, descriptor.Digest, descriptor.Size, start, end, cancellationToken);
    }

    /// <summary>end-11: POST blobs/uploads/?mount=DIGEST&amp;from=NAME. False if the registry opened an ordinary upload instead.</summary>
    public Task<bool> MountBlobAsync(Digest digest, string fromRepository, CancellationToken cancellationToken)
    {
        RegistryRequest request = new(
            HttpMethod.Post,
            $"{Api}blobs/uploads/?mount={Uri.EscapeDataString(digest.ToString())}&from={Uri.EscapeDataString(fromRepository)}",
            $"{RegistryRequest.Push(name)} {RegistryRequest.Pull(fromRepository)}",
            $"blob {digest} of {fromRepository}")
        { Content = Nothing };
        return client.Retry.RunAsync(
            async token =>
            {
                using HttpResponseMessage response = await client.SendAsync(request, token);
                switch (response.StatusCode)
                {
                    case HttpStatusCode.Created:
                        return true;
                    case HttpStatusCode.Accepted:
                        await CancelUploadAsync(client.ResolveLocation(response), token);
                        return false;
                    case HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed or HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized:
                        return false;
                    default:
                        throw await client.FailureAsync(response, request, token);
                }
            },
            cancellationToken);
    }

    /// <summary>end-4a: POST blobs/uploads/. Sends once; the caller repeats.</summary>
    public async Task<HttpResponseMessage> StartUploadAsync(Digest digest, CancellationToken cancellationToken) =>
        await SendAsync(new RegistryRequest(HttpMethod.Post, $"{Api}blobs/uploads/", RegistryRequest.Push(name), Subject(digest)) { Content = Nothing }, cancellationToken);

    /// <summary>A request to an upload's own address. Sends once and gives back any status; the caller repeats.</summary>
    public (RegistryRequest Request, Task<HttpResponseMessage> Response) SendToUpload(
        HttpMethod method, Uri location, Digest digest, Func<CancellationToken, Task<HttpContent>>? content, CancellationToken cancellationToken)
    {
        RegistryRequest request = new(method, "", RegistryRequest.Push(name), Subject(digest)) { Location = location, Content = content };
        return (request, client.SendAsync(request, cancellationToken));
    }

    /// <summary>An empty body: some servers answer 411 to a POST or PUT without a Content-Length.</summary>
    public static Task<HttpContent> Nothing(CancellationToken cancellationToken) => Task.FromResult<HttpContent>(new ByteArrayContent([]));

    /// <summary>Tells the registry that an upload will not go on. It collects abandoned ones anyway, so a failure is only noted.</summary>
    private async Task CancelUploadAsync(Uri location, CancellationToken cancellationToken)
    {
        try
        {
            RegistryRequest request = new(HttpMethod.Delete, "", RegistryRequest.Push(name), "an upload") { Location = location };
            using HttpResponseMessage response = await client.SendAsync(request, cancellationToken);
        }
        catch (Exception e) when (e is TransientRegistryException or FailureException)
        {
            client.Logger.SessionNotCancelled(client.Registry, e.Message);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(RegistryRequest request, CancellationToken cancellationToken)
    {
        HttpResponseMessage response = await client.SendAsync(request, cancellationToken);
        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw await client.FailureAsync(response, request, cancellationToken);
        }
    }

    private string Subject(string reference) => $"image {name}{(reference.Contains(':', StringComparison.Ordinal) ? "@" : ":")}{reference}";

    private string Subject(Digest digest) => $"blob {digest} in {name}";

    /// <summary>The digest that the registry states for a manifest; null if none, or in an algorithm other than sha256.</summary>
    private static Digest? StatedDigest(HttpResponseMessage response) =>
        response.Headers.TryGetValues("Docker-Content-Digest", out IEnumerable<string>? values) && Digest.TryParse(values.FirstOrDefault(), out Digest digest) ? digest : null;
}
