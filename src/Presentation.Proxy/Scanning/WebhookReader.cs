using System.Text.Json;
using Starlight.Application.Scanner;
using Starlight.Domain.Content;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Scanning;

/// <param name="Pushes">Tags that were pushed.</param>
/// <param name="Ignored">Events that are about something else, with why.</param>
internal sealed record WebhookContent(IReadOnlyList<PushedTag> Pushes, IReadOnlyList<IgnoredPush> Ignored);

/// <summary>
/// Reads what registries send. What is well formed but of no interest is ignored and not refused: a registry repeats what is refused for ever, and what comes behind it
/// waits. Nothing in it is trusted: which registries may be contacted is decided by the configuration.
/// </summary>
internal sealed class WebhookReader(RegistryNames names)
{
    private const string DistributionV1 = "application/vnd.docker.distribution.events.v1+json";

    /// <summary>Since distribution 3.0, with the same fields.</summary>
    private const string DistributionV2 = "application/vnd.docker.distribution.events.v2+json";
    private const string Json = "application/json";
    private const string CloudEvents = "application/cloudevents+json";

    /// <summary>Some messages name things that others chose.</summary>
    private const int MaxQuoted = 200;

    public static string MediaTypes => string.Join(", ", DistributionV1, DistributionV2, Json, CloudEvents);

    public static bool Understands(string? mediaType) => mediaType is DistributionV1 or DistributionV2 or Json or CloudEvents;

    public Result<WebhookContent> Read(string mediaType, ReadOnlyMemory<byte> body)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(body);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                return Malformed("it is not an object");
            }

            bool isDistribution = mediaType is DistributionV1 or DistributionV2 || (mediaType == Json && document.RootElement.TryGetProperty("events", out _));
            Reading reading = new(names);
            if (isDistribution)
            {
                if (document.Deserialize(WebhookJson.Wire.DistributionEnvelope)?.Events is not { } events)
                {
                    return Malformed("it has no 'events'");
                }

                foreach (DistributionEvent? one in events)
                {
                    reading.Add(one);
                }
            }
            else
            {
                HarborEvent harbor = document.Deserialize(WebhookJson.Wire.HarborEvent)!;
                if (harbor.Type is null)
                {
                    return Malformed("it has no 'type'");
                }

                reading.Add(harbor);
            }

            return new WebhookContent(reading.Pushes, reading.Ignored);
        }
        catch (JsonException e)
        {
            return Malformed(e.Message);
        }
    }

    private static Error Malformed(string why) => new("Scanner.EventMalformed", $"this is no registry's notification: {why}", ErrorKind.InvalidInput);

    private sealed class Reading(RegistryNames names)
    {
        public List<PushedTag> Pushes { get; } = [];

        public List<IgnoredPush> Ignored { get; } = [];

        public void Add(DistributionEvent? one)
        {
            string subject = $"event {one?.Id}";
            if (one?.Target is not { } target || one.Action != "push")
            {
                Ignore(subject, $"its action is '{one?.Action}', not push");
            }
            else if (string.IsNullOrEmpty(target.Tag))
            {
                // Blobs, and manifests that were pushed by digest: what they belong to comes with a tag.
                Ignore(subject, "it is not about a tag");
            }
            else
            {
                // distribution takes the URL's host from its configuration if it is there ('http.host'), else from the request, which is the only other source.
                string? host = Uri.TryCreate(target.Url, UriKind.Absolute, out Uri? url) ? url.Authority : one.Request?.Host;
                Add(subject, host, target.Repository, target.Tag, target.Digest);
            }
        }

        /// <summary>The default format calls it PUSH_ARTIFACT, CloudEvents harbor.artifact.pushed.</summary>
        public void Add(HarborEvent harbor)
        {
            if (harbor.Type is not ("PUSH_ARTIFACT" or "harbor.artifact.pushed"))
            {
                Ignore("event", $"its type is '{harbor.Type}', not PUSH_ARTIFACT");
                return;
            }

            HarborData? data = harbor.EventData ?? harbor.Data;
            foreach (HarborResource? resource in data?.Resources ?? [])
            {
                string subject = $"resource {resource?.ResourceUrl}";
                string? tag = resource?.Tag;

                // An artifact without a tag has its digest in the tag's place.
                if (string.IsNullOrEmpty(tag) || tag.Contains(':', StringComparison.Ordinal))
                {
                    Ignore(subject, "it is not about a tag");
                }
                else
                {
                    string? host = resource!.ResourceUrl?.Split('/', 2) is [{ Length: > 0 } first, _] ? first : null;
                    Add(subject, host, data!.Repository?.FullName, tag, resource.Digest);
                }
            }
        }

        private void Add(string subject, string? host, string? repository, string tag, string? digest)
        {
            if (string.IsNullOrEmpty(host) || string.IsNullOrEmpty(repository))
            {
                Ignore(subject, "it does not say which registry and repository it is about");
            }
            else if (!Digest.TryParse(digest, out Digest parsed))
            {
                Ignore(subject, "it names no sha256 digest");
            }
            else if (ReferenceOf(host, repository, tag) is { } reference)
            {
                Pushes.Add(new PushedTag(reference, parsed));
            }
            else
            {
                Ignore(subject, $"'{host}/{repository}:{tag}' is not an image reference");
            }
        }

        /// <summary>Null unless the parts are read as what they were sent as: a bare host name must not become part of a repository of the default registry.</summary>
        private ImageReference? ReferenceOf(string host, string repository, string tag)
        {
            string registry = names.Aliases.Contains(host, StringComparer.OrdinalIgnoreCase) ? names.DefaultRegistry : host.ToLowerInvariant();
            Result<ImageReference> parsed = ImageReference.Parse($"{registry}/{repository}:{tag}");
            return parsed.IsSuccess && parsed.Value.Tag == tag && parsed.Value.Digest is null
                && string.Equals(parsed.Value.Registry, registry, StringComparison.OrdinalIgnoreCase) && parsed.Value.Repository == repository
                ? parsed.Value
                : null;
        }

        private void Ignore(string subject, string reason) => Ignored.Add(new IgnoredPush(Short(subject), Short(reason)));

        private static string Short(string text) => (text.Length <= MaxQuoted ? text : text[..MaxQuoted] + "…").ReplaceLineEndings(" ");
    }
}
