using System.Globalization;
using Microsoft.AspNetCore.Http;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>The parameters by which a worker says which images it means: <c>to=REF[&amp;to=REF]…&amp;platform=OS/ARCH[&amp;layers=N]</c>.</summary>
internal sealed record ImageParameters(IReadOnlyList<ImageReference> To, Platform Platform, int? Layers)
{
    public static readonly Error RefMissing = new("Request.RefMissing", "name the image with one parameter 'ref'", ErrorKind.InvalidInput);

    /// <returns>InvalidInput; PermissionDenied <c>Access.ImageDenied</c>.</returns>
    public static Result<ImageParameters> Read(HttpRequest request, RegistryNames registries, Account account)
    {
        Result<IReadOnlyList<ImageReference>> to = References(request, "to", registries);
        Result<Platform> platform = request.Query["platform"] is [{ Length: > 0 } name]
            ? Platform.Parse(name)
            : new Error("Request.PlatformMissing", "name the worker's platform with one parameter 'platform', e.g. platform=linux/amd64", ErrorKind.InvalidInput);
        Result<int?> layers = request.Query["layers"] switch
        {
            [] => Result<int?>.Success(null),
            [{ } text] when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) => Result<int?>.Success(count),
            var other => new Error("Delta.LayersOutOfRange", $"'{other}' is not a number of layers", ErrorKind.InvalidInput),
        };
        if ((to.Error ?? platform.Error ?? layers.Error) is { } error)
        {
            return error;
        }

        return to.Value.FirstOrDefault(reference => !account.Images.Includes(reference.Name)) is { } denied
            ? AccessErrors.ImageDenied(account, denied)
            : new ImageParameters(to.Value, platform.Value, layers.Value);
    }

    /// <summary>The references of one parameter that may be repeated.</summary>
    /// <summary>The one image that a request is about, which the account must be allowed to use.</summary>
    public static Result<ImageReference> Ref(HttpRequest request, RegistryNames registries, Account account)
    {
        if (request.Query["ref"] is not [{ Length: > 0 } text])
        {
            return RefMissing;
        }

        Result<ImageReference> reference = registries.Parse(text);
        return reference.IsSuccess && !account.Images.Includes(reference.Value.Name) ? AccessErrors.ImageDenied(account, reference.Value) : reference;
    }

    public static Result<IReadOnlyList<ImageReference>> References(HttpRequest request, string parameter, RegistryNames registries)
    {
        List<ImageReference> references = [];
        foreach (string text in QueryLists.Read(request.Query[parameter]))
        {
            Result<ImageReference> reference = registries.Parse(text);
            if (!reference.IsSuccess)
            {
                return reference.Error;
            }

            references.Add(reference.Value);
        }

        return references;
    }
}
