using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Erofs;
using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>A delta bundle as a client sees it that asks the proxy directly.</summary>
/// <param name="Length">Of the whole bundle in bytes.</param>
/// <param name="HeaderLength">Bytes before the first block.</param>
/// <param name="Contents">What the bundle brings.</param>
/// <param name="ImageContents">What the images consist of.</param>
internal sealed record DeltaOf(byte[] Bytes, int HeaderLength, IReadOnlyList<ContentRef> Contents, IReadOnlyList<ContentRef> ImageContents)
{
    public int Length => Bytes.Length;

    public IEnumerable<Digest> Digests => Contents.Select(c => c.Digest);

    public static Task<DeltaOf> ImageAsync(StarlightStack stack, string reference) =>
        RequestAsync(stack, $"/starlight/delta?platform={Uri.EscapeDataString(LocalPlatform)}&to={Uri.EscapeDataString(reference)}");

    /// <param name="target">Path and query, as on a request line. Patches are not asked for: there is nothing here to apply them to.</param>
    public static async Task<DeltaOf> RequestAsync(StarlightStack stack, string target)
    {
        using ServiceProvider services = new ServiceCollection().AddFilesystemImages().BuildServiceProvider();
        IFilesystemImages filesystems = services.GetRequiredService<IFilesystemImages>();
        using HttpClient http = new();
        byte[] bytes = await http.GetByteArrayAsync(new Uri(stack.ProxyUrl, target.Replace("&patch=true", "", StringComparison.Ordinal)));
        using MemoryStream stream = new(bytes);
        BundleReader reader = await BundleReader.OpenAsync(stream, CancellationToken.None);
        List<ContentRef> all = [];
        reader.BindContents(image =>
        {
            IReadOnlyList<ContentRef> contents = filesystems.ReadContents(image).Contents;
            all.AddRange(contents);
            return contents;
        });
        return new DeltaOf(bytes, reader.HeaderLength, reader.Contents, all);
    }

    private static string LocalPlatform => Starlight.Domain.Images.Platform.Local.ToString();
}
