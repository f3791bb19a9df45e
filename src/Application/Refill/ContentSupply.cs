using System.Collections.Concurrent;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Refill;

/// <summary>
/// Contents for those who need them, whether the store holds them or not: what was evicted, damaged or taken in by another proxy is read from the registry again.
/// </summary>
public sealed class ContentSupply
{
    /// <summary>Someone may push the image again. Arbitrary.</summary>
    private static readonly TimeSpan LostFor = TimeSpan.FromMinutes(10);

    private readonly IImageCatalog _catalog;
    private readonly IContentStore _store;
    private readonly LayerRefill _refill;

    private readonly TimeProvider _time;

    /// <summary>Contents that could not be had, and since when.</summary>
    private readonly ConcurrentDictionary<Digest, DateTimeOffset> _lost = new();

    internal ContentSupply(IImageCatalog catalog, IContentStore store, LayerRefill refill, TimeProvider time) => (_catalog, _store, _refill, _time) = (catalog, store, refill, time);

    /// <summary>
    /// Makes sure of contents of indexed images: they are not evicted until the result is disposed, and those that are not there are on their way, in the
    /// order given. Returns at once.
    /// </summary>
    /// <param name="manifests">Images that have them.</param>
    /// <param name="contents">In the order of their use; gone through more than once.</param>
    public ContentReservation Reserve(IReadOnlyList<Digest> manifests, IEnumerable<ContentRef> contents) =>
        new(_store, contents, (missing, arrived, token) => ReadAsync(manifests, missing, arrived, token));

    /// <summary>Whether any content is lost at present: hardly ever.</summary>
    public bool HasLosses => !_lost.IsEmpty && _lost.Keys.Any(IsLost);

    /// <summary>
    /// The content was asked for lately and neither the store nor a registry has it: its image was deleted there. What can do without it should.
    /// </summary>
    public bool IsLost(Digest content)
    {
        if (!_lost.TryGetValue(content, out DateTimeOffset since))
        {
            return false;
        }

        if (!_store.Contains(content) && _time.GetUtcNow() - since < LostFor)
        {
            return true;
        }

        _lost.TryRemove(content, out _);
        return false;
    }

    /// <summary>Brings contents into the store that are not there.</summary>
    /// <exception cref="FailureException">What the registry fails with.</exception>
    internal Task EnsureAsync(ContentOrigin origin, IReadOnlyList<ContentRef> contents, CancellationToken cancellationToken) =>
        _refill.ReadAsync(origin, contents, static _ => { }, cancellationToken);

    private async Task ReadAsync(IReadOnlyList<Digest> manifests, IReadOnlyList<ContentRef> missing, Action<Digest> arrived, CancellationToken cancellationToken)
    {
        Dictionary<Digest, IndexedLayer> layers = [];
        List<ImageOrigin> repositories = [];
        foreach (Digest manifest in manifests)
        {
            IndexedImage image = await _catalog.FindImageAsync(manifest, cancellationToken) ?? throw new FailureException(RefillErrors.ContentMissing(missing[0].Digest));
            foreach (Digest layer in image.Layers.Reverse())
            {
                if (!layers.ContainsKey(layer))
                {
                    layers.Add(layer, await _catalog.FindLayerAsync(layer, cancellationToken) ?? throw new FailureException(RefillErrors.ContentMissing(missing[0].Digest)));
                }
            }

            repositories.AddRange(await _catalog.FindOriginsAsync(manifest, cancellationToken));
        }

        try
        {
            await _refill.ReadAsync(new ContentOrigin([.. layers.Values], [.. repositories.Distinct()]), missing, arrived, cancellationToken);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.NotFound || e.Error.Code == RefillErrors.Missing)
        {
            foreach (ContentRef content in missing.Where(c => !_store.Contains(c.Digest)))
            {
                _lost[content.Digest] = _time.GetUtcNow();
            }

            // Not "not found": the image is known here, its contents cannot be had now.
            throw e.Error.Kind == ErrorKind.NotFound ? new FailureException(RefillErrors.Gone(e.Error), e) : e;
        }
    }
}

/// <summary>Contents that somebody is using. Safe for concurrent use.</summary>
public sealed class ContentReservation : IAsyncDisposable
{
    private readonly IContentStore _store;
    private readonly Func<IReadOnlyList<ContentRef>, Action<Digest>, CancellationToken, Task> _read;
    private readonly IDisposable _protection;
    private readonly CancellationTokenSource _stop = new();

    /// <summary>Guards the three below.</summary>
    private readonly Lock _gate = new();

    /// <summary>Contents that were missing at the beginning and have not arrived: perhaps a million.</summary>
    private readonly HashSet<Digest> _expected = [];

    /// <summary>Those of them that somebody waits for: hardly more than one.</summary>
    private readonly Dictionary<Digest, TaskCompletionSource> _awaited = [];

    /// <summary>Why what is expected will not arrive.</summary>
    private Exception? _failure;

    private readonly Task _reading = Task.CompletedTask;

    internal ContentReservation(IContentStore store, IEnumerable<ContentRef> contents, Func<IReadOnlyList<ContentRef>, Action<Digest>, CancellationToken, Task> read)
    {
        (_store, _read) = (store, read);

        // In this order: what is touched after the protection began stays.
        _protection = store.Protect();
        store.Touch(contents);
        List<ContentRef> missing = [.. contents.Where(c => !store.Contains(c.Digest))];
        foreach (ContentRef content in missing)
        {
            _expected.Add(content.Digest);
        }

        if (missing.Count > 0)
        {
            _reading = Task.Run(() => ReadAllAsync(missing));
        }
    }

    /// <summary>Waits until a content is in the store.</summary>
    /// <exception cref="FailureException">It cannot be had.</exception>
    public Task WaitAsync(ContentRef content, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_expected.Contains(content.Digest))
            {
                if (_failure is not null)
                {
                    return Task.FromException(_failure);
                }

                if (!_awaited.TryGetValue(content.Digest, out TaskCompletionSource? awaited))
                {
                    _awaited.Add(content.Digest, awaited = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
                }

                return awaited.Task.WaitAsync(cancellationToken);
            }
        }

        // It was there and is not any more: found damaged, or removed by hand.
        return _store.Contains(content.Digest) ? Task.CompletedTask : _read([content], static _ => { }, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading;
        _stop.Dispose();
        _protection.Dispose();
    }

    private async Task ReadAllAsync(List<ContentRef> missing)
    {
        try
        {
            await _read(missing, Arrive, _stop.Token);
        }
#pragma warning disable CA1031 // everything goes to those who wait for a content
        catch (Exception e)
#pragma warning restore CA1031
        {
            lock (_gate)
            {
                _failure = e;
                foreach (TaskCompletionSource awaited in _awaited.Values)
                {
                    awaited.SetException(e);

                    // Who waited may have gone.
                    _ = awaited.Task.Exception;
                }

                _awaited.Clear();
            }
        }
    }

    private void Arrive(Digest content)
    {
        lock (_gate)
        {
            _expected.Remove(content);
            if (_awaited.Remove(content, out TaskCompletionSource? awaited))
            {
                awaited.SetResult();
            }
        }
    }
}
