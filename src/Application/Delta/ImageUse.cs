using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Delta;

/// <summary>
/// Remembers that images are asked for: their contents stay in the store though their bundles come from the cache, and the images stay in the catalog though no tag names them. Noted
/// for an image once in <see cref="Interval"/>, in the background: a request costs a lookup.
/// </summary>
internal sealed partial class ImageUse(ICatalogKeeping catalog, IContentStore contents, TimeProvider time, ILogger<ImageUse> logger)
{
    /// <summary>Far below any grace period. Arbitrary.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(30);

    private readonly ConcurrentDictionary<Digest, DateTimeOffset> _noted = new();

    public void Note(IEnumerable<ShelvedImage> images)
    {
        DateTimeOffset now = time.GetUtcNow();
        List<ShelvedImage> due = [.. images.Where(i => IsDue(i.Manifest, now))];
        if (due.Count > 0)
        {
            _ = Task.Run(() => NoteAsync(due));
        }
    }

    private bool IsDue(Digest image, DateTimeOffset now)
    {
        if (_noted.TryGetValue(image, out DateTimeOffset last))
        {
            return now - last >= Interval && _noted.TryUpdate(image, now, last);
        }

        return _noted.TryAdd(image, now);
    }

    private async Task NoteAsync(List<ShelvedImage> images)
    {
        foreach (ShelvedImage image in images)
        {
            contents.Touch(image.Ordered.Contents);
        }

        try
        {
            await catalog.TouchAsync([.. images.Select(i => i.Manifest).Distinct()], CancellationToken.None);
        }
        catch (FailureException e)
        {
            // Nobody waits for it; the next request after the interval notes it again.
            NotNoted(logger, e.Message);
        }
    }

    [LoggerMessage(1, LogLevel.Debug, "the use of images could not be noted: {Reason}")]
    private static partial void NotNoted(ILogger logger, string reason);
}
