using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Delta;

/// <summary>
/// Which image a name stands for, as the database says; while it cannot be reached, as it said last. Images are served on from memory and from the bundle cache then; a name that was
/// never asked for here fails.
/// </summary>
internal sealed class KnownNames(IImageQueries queries, ICatalogHealth health)
{
    /// <summary>A name with its platforms takes some 500 bytes: tens of thousands of them. Arbitrary.</summary>
    private const int MaxNames = 20_000;

    /// <summary>How long a question may take when the last one failed.</summary>
    private static readonly TimeSpan FaultyPatience = TimeSpan.FromMilliseconds(200);

    /// <summary>Guards the three below.</summary>
    private readonly Lock _gate = new();

    private readonly Dictionary<string, IReadOnlyDictionary<Platform, NamedImage>> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<Digest, IReadOnlyList<string>> _repositories = [];
    private readonly Dictionary<Digest, IndexedIndex> _indexes = [];

    private readonly SharedQuestions<string, IReadOnlyDictionary<Platform, NamedImage>> _namesAsked = new();
    private readonly SharedQuestions<Digest, IReadOnlyList<string>> _repositoriesAsked = new();

    public Task<IReadOnlyDictionary<Platform, NamedImage>> FindAsync(ImageReference reference, CancellationToken cancellationToken) => reference.Digest is { } digest
        ? AskAsync(_names, _namesAsked, digest.ToString(), () => queries.FindByDigestAsync(digest, CancellationToken.None), cancellationToken)
        : AskAsync(_names, _namesAsked, reference.ToString(), () => queries.FindByTagAsync(reference, CancellationToken.None), cancellationToken);

    /// <inheritdoc cref="IImageQueries.FindRepositoriesAsync"/>
    public Task<IReadOnlyList<string>> FindRepositoriesAsync(Digest manifest, CancellationToken cancellationToken) =>
        AskAsync(_repositories, _repositoriesAsked, manifest, () => queries.FindRepositoriesAsync(manifest, CancellationToken.None), cancellationToken);

    /// <summary>Whether the image was notified in one of these repositories.</summary>
    public async Task<bool> IsReadableAsync(Digest manifest, RepositoryPatterns readable, CancellationToken cancellationToken) =>
        readable.IsAll || (await FindRepositoriesAsync(manifest, cancellationToken)).Any(readable.Includes);

    /// <summary>Null if the index is not known.</summary>
    public async Task<IndexedIndex?> FindIndexAsync(Digest index, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            // Its digest names its bytes: nothing to ask again.
            if (_indexes.TryGetValue(index, out IndexedIndex? known))
            {
                return known;
            }
        }

        IndexedIndex? found = await queries.FindIndexAsync(index, cancellationToken);
        if (found is not null)
        {
            Remember(_indexes, index, found);
        }

        return found;
    }

    private async Task<T> AskAsync<TKey, T>(Dictionary<TKey, T> known, SharedQuestions<TKey, T> asked, TKey key, Func<Task<T>> ask, CancellationToken cancellationToken)
        where TKey : notnull
    {
        Task<T> asking = asked.AskAsync(key, ask, cancellationToken);
        if (health.Fault is not null && TryGet(known, key, out T? last))
        {
            // A database that does not answer can keep us waiting for long; the question goes on, so that its return is noticed.
            Task first = await Task.WhenAny(asking, Task.Delay(FaultyPatience, CancellationToken.None));
            if (first != asking)
            {
                _ = asking.ContinueWith(static t => _ = t.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
                return last!;
            }
        }

        try
        {
            T answer = await asking;
            Remember(known, key, answer);
            return answer;
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.Unavailable && TryGet(known, key, out last))
        {
            return last!;
        }
    }

    private bool TryGet<TKey, T>(Dictionary<TKey, T> known, TKey key, out T? value)
        where TKey : notnull
    {
        lock (_gate)
        {
            return known.TryGetValue(key, out value);
        }
    }

    private void Remember<TKey, T>(Dictionary<TKey, T> known, TKey key, T value)
        where TKey : notnull
    {
        lock (_gate)
        {
            if (known.Count >= MaxNames)
            {
                known.Clear();
            }

            known[key] = value;
        }
    }
}
