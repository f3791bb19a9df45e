using System.Globalization;

namespace Starlight.Presentation.Proxy.Administration;

/// <summary>What the operator's commands print.</summary>
internal static class AdminText
{
    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB"];

    public static void List(TextWriter output, AdminImages images)
    {
        output.WriteLine($"{"PLATFORM",-16} {"LAYERS",6} {"SIZE",10} {"FILES",9} {"LAST USED",-17} NAME");
        foreach (AdminImage image in images.Images)
        {
            foreach (string name in image.Names.Count > 0 ? image.Names : [image.Digest])
            {
                output.WriteLine(Text($"{image.Platform,-16} {image.Layers,6} {Size(image.Size),10} {image.Files,9} {image.UsedAt.UtcDateTime:yyyy-MM-dd HH:mm}Z {name}"));
            }
        }
    }

    public static void Show(TextWriter output, AdminDetails details)
    {
        foreach (AdminImageDetails image in details.Images)
        {
            output.WriteLine($"{image.Image.Digest}  {image.Image.Platform}");
            output.WriteLine($"  names         {(image.Image.Names.Count > 0 ? string.Join(' ', image.Image.Names) : "none")}");
            output.WriteLine($"  read from     {(image.Repositories.Count > 0 ? string.Join(' ', image.Repositories) : "not known: notify it again")}");
            output.WriteLine($"  filesystem    {image.FilesystemDigest}");
            output.WriteLine(Text($"  files         {image.Image.Files}, contents of {Size(image.Image.ContentBytes)}"));
            output.WriteLine(Text($"  indexed       {image.Image.IndexedAt.UtcDateTime:yyyy-MM-dd HH:mm}Z, last used {image.Image.UsedAt.UtcDateTime:yyyy-MM-dd HH:mm}Z"));
            foreach (AdminLayer layer in image.Layers)
            {
                output.WriteLine($"  layer         {layer.Digest} {Size(layer.Size),10}  {(layer.ReadByMember ? "read file by file" : "read as a whole")}{(layer.EStargz ? ", eStargz" : "")}");
            }
        }
    }

    public static void Delete(TextWriter output, AdminRemoval removal) =>
        output.WriteLine(Text($"deleted {removal.Tags} tags, {removal.Images} images, {removal.Indexes} indexes"));

    public static void Collect(TextWriter output, AdminGarbage garbage)
    {
        output.WriteLine(Text($"catalog   {garbage.Catalog.Images} images, {garbage.Catalog.Layers} layers, {garbage.Catalog.Indexes} indexes"));
        output.WriteLine(Text($"contents  {garbage.Contents} ({Size(garbage.ContentBytes)})"));
        output.WriteLine(Text($"bundles   {garbage.Bundles} ({Size(garbage.BundleBytes)})"));
    }

    public static void Statistics(TextWriter output, AdminStatistics statistics)
    {
        output.WriteLine(statistics.Degraded
            ? $"catalog   degraded: {statistics.CatalogFault}"
            : Text($"catalog   {statistics.Tags} tags, {statistics.Images} images, {statistics.Layers} layers, {statistics.Indexes} indexes"));
        output.WriteLine(Text(
            $"contents  {statistics.Contents} in {Size(statistics.ContentBytes)}, limit {(statistics.StoreLimit is { } limit ? Size(limit) : "none")}, {statistics.Evicted} evicted since start"));
        output.WriteLine(Text($"bundles   {statistics.Bundles} in {Size(statistics.BundleBytes)}, {statistics.BundlesBuilding} being built"));
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string Size(long bytes)
    {
        int unit = 0;
        double size = bytes;
        while (size >= 1024 && unit < Units.Length - 1)
        {
            (size, unit) = (size / 1024, unit + 1);
        }

        return Text($"{size:0.#} {Units[unit]}");
    }
}
