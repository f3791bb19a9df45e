using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Images;
using Starlight.Infrastructure.Containerd.Protocol.Types;

namespace Starlight.Infrastructure.Containerd;

public partial class ContainerdClient
{
    public async Task<ContainerImage?> FindImageAsync(string name, CancellationToken cancellationToken)
    {
        GetImageResponse? response = await OrNullIfNotFound(CallAsync(ImagesMethods.Get, new GetImageRequest { Name = name }, cancellationToken));
        return response is null ? null : FromWire(response.Image);
    }

    public async Task<IReadOnlyList<ContainerImage>> ListImagesAsync(string? filter, CancellationToken cancellationToken)
    {
        ListImagesRequest request = new();
        if (filter is not null)
        {
            request.Filters.Add(filter);
        }

        ListImagesResponse response = await CallAsync(ImagesMethods.List, request, cancellationToken);
        return [.. response.Images.Select(FromWire)];
    }

    public async Task SetImageAsync(ContainerImage image, CancellationToken cancellationToken)
    {
        Image wire = new()
        {
            Name = image.Name,
            Target = new BlobDescriptor { MediaType = image.Target.MediaType, Digest = image.Target.Digest.ToString(), Size = image.Target.Size },
        };
        Add(wire.Target.Annotations, image.Target.Annotations);
        Add(wire.Labels, image.Labels);

        // Update first: a pull of a tag known already is the common case. Somebody may create or delete the record between the two calls, hence the second round.
        for (int round = 0; ; round++)
        {
            try
            {
                UpdateImageRequest update = new() { Image = wire, UpdateMask = new FieldMask { Paths = { "target", "labels" } } };
                if (await OrNullIfNotFound(CallAsync(ImagesMethods.Update, update, cancellationToken)) is not null)
                {
                    return;
                }

                await CallAsync(ImagesMethods.Create, new CreateImageRequest { Image = wire }, cancellationToken);
                return;
            }
            catch (FailureException e) when (e.Error.Kind == ErrorKind.AlreadyExists && round == 0)
            {
            }
        }
    }

    public async Task<bool> DeleteImageAsync(string name, bool collect, CancellationToken cancellationToken) =>
        await OrNullIfNotFound(CallAsync(ImagesMethods.Delete, new DeleteImageRequest { Name = name, Sync = collect }, cancellationToken)) is not null;

    private static ContainerImage FromWire(Image image)
    {
        if (!Digest.TryParse(image.Target.Digest, out Digest digest))
        {
            throw new FailureException(new Error(
                "Containerd.ForeignDigest",
                string.Create(CultureInfo.InvariantCulture, $"containerd's image {image.Name} has the digest '{image.Target.Digest}': only sha256 is supported"),
                ErrorKind.Unsupported));
        }

        Descriptor target = new(image.Target.MediaType, digest, image.Target.Size)
        {
            Annotations = new Dictionary<string, string>(image.Target.Annotations, StringComparer.Ordinal),
        };
        return new ContainerImage(image.Name, target, new Dictionary<string, string>(image.Labels, StringComparer.Ordinal));
    }
}
