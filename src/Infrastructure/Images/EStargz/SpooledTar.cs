using Starlight.Domain.Content;
using Starlight.Domain.Ordering;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Layers;
using Starlight.Infrastructure.Images.Tar;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>A layer's tar in a temporary file, because what comes first is known only when all of it has been seen. In memory: the entries' places, and while it is being read their names.</summary>
internal sealed class SpooledTar : IDisposable
{
    private readonly BlobFile _file;
    private readonly List<(long Start, long End)> _places = [];
    private LayerOrder _order = null!;

    private SpooledTar(string directory) => _file = new BlobFile(directory);

    /// <summary>Bytes of all entries.</summary>
    public long Length => _places.Sum(p => p.End - p.Start);

    /// <summary>How many entries come first.</summary>
    public int FirstCount => _order.First.Count;

    /// <summary>sha256 of the tar as it came.</summary>
    public Digest DiffId { get; private set; }

    /// <param name="tar">Uncompressed; read to its end.</param>
    /// <param name="files">What shall come first.</param>
    /// <param name="directory">For the file.</param>
    /// <param name="cancellationToken">Removes the file.</param>
    public static async Task<SpooledTar> ReadAsync(Stream tar, PrioritizedFiles files, string directory, CancellationToken cancellationToken)
    {
        SpooledTar spooled = new(directory);
        try
        {
            EntryLog entries = await spooled.ReadEntriesAsync(tar, cancellationToken);
            spooled._order = LayerOrder.Of(entries, files);
            return spooled;
        }
        catch
        {
            spooled.Dispose();
            throw;
        }
    }

    /// <summary>The entries in their new order, without those whose names the format reserves. Valid until this is disposed.</summary>
    /// <param name="progress">Receives bytes read since its last call.</param>
    public Stream Open(IProgress<long>? progress) => new RearrangedTar(_file, _places, _order.First, progress);

    public void Dispose() => _file.Dispose();

    private async Task<EntryLog> ReadEntriesAsync(Stream tar, CancellationToken cancellationToken)
    {
        using TarReader reader = new(new TeeStream(tar, _file));
        EntryLog entries = new();
        LayerBudget budget = default;
        bool isOpen = false;
        while (await reader.NextAsync(cancellationToken) is { } entry)
        {
            End();
            budget.Take(entry);
            isOpen = !EStargzNames.IsReserved(entry);
            if (isOpen)
            {
                // contents and attributes do not matter for the order
                entries.Add(LayerEntryFactory.From(entry, entry.Kind == FileKind.Regular ? Digest.Empty : default) with { Xattrs = [] });
                _places.Add((reader.EntryOffset, 0));
            }
        }

        End();
        DiffId = await reader.DrainAsync(cancellationToken);
        return entries;

        void End()
        {
            if (isOpen)
            {
                _places[^1] = (_places[^1].Start, reader.EntryOffset);
            }
        }
    }
}
