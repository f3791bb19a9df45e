using FluentValidation;
using MediatR;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Convert;

/// <summary>
/// Copies an image and rewrites its layers as eStargz, so that contents can be read one by one. Repeating it gives the same digest and sends nothing.
/// </summary>
/// <param name="Source">As <see cref="IImageTransports.OpenSourceAsync"/> takes it.</param>
/// <param name="Destination">With a tag and without a digest: the digest is the result.</param>
/// <param name="Platforms">Which images of an index; a single image must be among them.</param>
/// <param name="InsecureSource">See <see cref="RegistryAccess"/>.</param>
/// <param name="InsecureDestination">See <see cref="RegistryAccess"/>.</param>
/// <param name="Progress">Null if nobody looks.</param>
/// <param name="OptimizeFrom">Says which files come first in their layers, so that runtimes which fetch them lazily have them at once; null to leave the layers' order alone.</param>
public sealed record ConvertImageCommand(
    string Source,
    ImageReference Destination,
    PlatformSelection Platforms,
    bool InsecureSource = false,
    bool InsecureDestination = false,
    IConvertProgress? Progress = null,
    IImageOrders? OptimizeFrom = null) : IRequest<Result<ConvertImageResult>>;

/// <param name="Digest">Of what the tag stands for now: a manifest or an index.</param>
/// <param name="MediaType">Of the same.</param>
/// <param name="Images">The images that were converted, in the order of the index.</param>
public sealed record ConvertImageResult(Digest Digest, string MediaType, IReadOnlyList<ConvertedImage> Images);

/// <param name="FilesystemDigest">sha256 of the image's filesystem image, as its manifest's annotation says.</param>
/// <param name="ReusedLayers">Of all layers, those that were neither converted nor sent.</param>
/// <param name="SourceSize">Bytes of all layers before.</param>
/// <param name="ConvertedSize">Bytes of all layers after.</param>
/// <param name="Order">What comes first in its layers; null if that was not asked for.</param>
public sealed record ConvertedImage(Platform Platform, Digest ManifestDigest, Digest FilesystemDigest, int Layers, int ReusedLayers, long SourceSize, long ConvertedSize, FileOrder? Order);

/// <summary>
/// 1. Ask for the order if it is wanted. Resolve the source; it must be an image or an index of images.
/// 2. Per selected platform convert or reuse the layers (<see cref="LayerConversions"/>) and push them.
/// 3. Push configuration and manifest by digest; of an index, also what is not an image, verbatim.
/// 4. Put the tag on the last manifest: until then nothing has changed for anybody.
/// </summary>
internal sealed class ConvertImageHandler(IImageTransports transports, ILayerConverter converter, IConversionCache cache, IFilesystemImages filesystems)
    : IRequestHandler<ConvertImageCommand, Result<ConvertImageResult>>
{
    public async Task<Result<ConvertImageResult>> Handle(ConvertImageCommand request, CancellationToken cancellationToken)
    {
        await using IImageSource source = await transports.OpenSourceAsync(request.Source, new RegistryAccess(request.InsecureSource), cancellationToken);
        await using IImageDestination destination = transports.OpenDestination(request.Destination, new RegistryAccess(request.InsecureDestination));

        // 1.
        ImageOptimization? optimization = await ImageOptimization.AskAsync(request, cancellationToken);
        ManifestBlob top = await source.ResolveAsync(cancellationToken);

        // 2. and 3.
        IReadOnlyDictionary<Digest, Descriptor> previous = await PreviousConversion.ReadAsync(transports, destination, request, cancellationToken);
        LayerConversions layers = new(request, source, destination, transports, converter, cache, previous);
        ImageConversion conversion = new(request, source, destination, layers, optimization, filesystems);
        ManifestBlob converted = await conversion.ConvertAsync(top, cancellationToken);

        // 4.
        await destination.PushManifestAsync(converted, request.Destination.Tag, cancellationToken);
        return new ConvertImageResult(converted.Digest, converted.MediaType, conversion.Images);
    }
}

internal sealed class ConvertImageValidator : AbstractValidator<ConvertImageCommand>
{
    public ConvertImageValidator()
    {
        RuleFor(c => c.Source).NotEmpty().WithErrorCode("Convert.SourceMissing").WithMessage("name the image to convert");
        RuleFor(c => c.Destination).Must(d => d.Tag is not null && d.Digest is null)
            .WithErrorCode("Convert.DestinationMalformed")
            .WithMessage(c => $"'{c.Destination}' cannot be a destination: write registry/repository:tag, the digest is the result");
    }
}
