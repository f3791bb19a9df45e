using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Telemetry;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Contents;

/// <summary>
/// Bundles as files, named by their identity: built once however many ask at once, read by all of them while it grows, and kept for those who resume or
/// ask later until the size limit asks for room. A build belongs to nobody: it goes on when its last reader leaves, because a reader that lost its
/// connection comes back within seconds to resume, and because a finished file is what makes that cheap. Safe for concurrent use.
/// </summary>
public sealed class BundleCache : IBundleKeeping, IAsyncDisposable
{
    private const string PartialSuffix = ".partial";

    /// <summary>Builds under way and waiting for memory, each an open file. Arbitrary: fleets ask for a few bundles, many times.</summary>
    private const int MaxBuilding = 256;

    /// <summary>Beside each bundle: the manifests of the images it is made from and for, one a line. A bundle without it is kept until the limit is reached.</summary>
    private const string ImagesSuffix = ".images";

    private static readonly KeyValuePair<string, object?> Hit = new("result", "hit");
    private static readonly KeyValuePair<string, object?> Joined = new("result", "joined");
    private static readonly KeyValuePair<string, object?> Miss = new("result", "miss");

    private readonly string _root;
    private readonly long _maxBytes;
    private readonly ILogger<BundleCache> _logger;
    private readonly CancellationTokenSource _stopping = new();

    private int _disposed;

    /// <summary>Guards the two maps and the sizes in them.</summary>
    private readonly Lock _gate = new();

    private readonly Dictionary<string, GrowingFile> _building = new(StringComparer.Ordinal);

    /// <summary>Finished bundles with their length, most recently used last.</summary>
    private readonly LinkedList<(string Identity, long Length)> _recent = [];

    private readonly Dictionary<string, LinkedListNode<(string Identity, long Length)>> _finished = new(StringComparer.Ordinal);

    /// <summary>Of the finished bundles those that were prepared by this process and that nobody has asked for yet.</summary>
    private readonly HashSet<string> _unused = new(StringComparer.Ordinal);

    /// <param name="root">The <c>bundles</c> directory; created if missing, leftovers of a crash are removed.</param>
    /// <param name="maxBytes">Above this the least recently used bundles go. The newest stays even if it alone is larger.</param>
    /// <param name="logger">Evictions and failed builds.</param>
    public BundleCache(string root, long maxBytes, ILogger<BundleCache> logger)
    {
        (_root, _maxBytes, _logger) = (root, maxBytes, logger);
        Directory.CreateDirectory(root);
        foreach (FileInfo file in new DirectoryInfo(root).EnumerateFiles().OrderBy(f => f.LastWriteTimeUtc))
        {
            if (file.Name.EndsWith(PartialSuffix, StringComparison.Ordinal))
            {
                file.Delete();
            }
            else if (file.Name.EndsWith(ImagesSuffix, StringComparison.Ordinal))
            {
                if (!File.Exists(file.FullName[..^ImagesSuffix.Length]))
                {
                    file.Delete();
                }
            }
            else
            {
                _finished[file.Name] = _recent.AddLast((file.Name, file.Length));
            }
        }

        Evict();
    }

    /// <summary>
    /// The bundle, finished or growing; null if it is neither. The caller disposes the result.
    /// </summary>
    public CachedBundle? TryOpen(string identity)
    {
        lock (_gate)
        {
            return Find(identity);
        }
    }

    /// <summary>The same, if it was built for just these images.</summary>
    public CachedBundle? TryOpen(string identity, IReadOnlyCollection<Digest> images)
    {
        lock (_gate)
        {
            string file = Path.Combine(_root, identity + ImagesSuffix);
            bool isThere = _building.ContainsKey(identity) || _finished.ContainsKey(identity);
            return isThere && File.Exists(file) && File.ReadLines(file).Order(StringComparer.Ordinal).SequenceEqual(images.Select(i => i.ToString()).Order(StringComparer.Ordinal)) ? Find(identity) : null;
        }
    }

    /// <summary>The bundle, finished or growing; if it is neither, <paramref name="build"/> starts in the background. The caller disposes the result.</summary>
    /// <param name="identity">File-name safe; the same identity means the same bytes.</param>
    /// <param name="build">Writes the whole bundle. Its token is cancelled only when the cache is disposed.</param>
    /// <param name="images">Manifests of the images that it is made from and for: when one of them is gone, nobody can ask for the bundle any more.</param>
    public CachedBundle OpenOrBuild(string identity, Func<Stream, CancellationToken, Task> build, IReadOnlyCollection<Digest>? images = null)
    {
        lock (_gate)
        {
            if (Find(identity) is { } present)
            {
                ProxyTelemetry.BundleRequests.Add(1, present.Length is null ? Joined : Hit);
                return present;
            }

            ProxyTelemetry.BundleRequests.Add(1, Miss);
            if (_building.Count >= MaxBuilding)
            {
                throw new FailureException(new Error("Bundle.TooManyBuilds", "this proxy is asked for more different bundles than it can build: try again later", ErrorKind.Unavailable));
            }

            GrowingFile file = Begin(identity, images);
            file.IsWanted = true;

            // Before anything else can fail: whoever finds it waits for its end.
            file.Build = Task.Run(() => BuildAsync(identity, file, build));
            return CachedBundle.Growing(file);
        }
    }

    /// <summary>Builds a bundle before somebody asks for it, unless it is there or being built. Somebody who asks meanwhile reads it while it grows.</summary>
    /// <param name="identity">As for <see cref="OpenOrBuild"/>.</param>
    /// <param name="build">The same; it can ask whether somebody waits for it by now.</param>
    /// <param name="images">The same.</param>
    /// <param name="cancellationToken">Stops waiting for the build, not the build.</param>
    /// <returns>Whether it was built; a failure has been logged.</returns>
    public async Task<bool> PrepareAsync(string identity, Func<Stream, Func<bool>, CancellationToken, Task> build, IReadOnlyCollection<Digest> images, CancellationToken cancellationToken)
    {
        GrowingFile file;
        lock (_gate)
        {
            if (_building.ContainsKey(identity) || _finished.ContainsKey(identity))
            {
                return false;
            }

            file = Begin(identity, images);
            file.Build = Task.Run(() => BuildAsync(identity, file, (output, token) => build(output, () => file.IsWanted, token)));
        }

        await file.Build.WaitAsync(cancellationToken);
        lock (_gate)
        {
            return _finished.ContainsKey(identity);
        }
    }

    /// <summary>Removes a bundle that was prepared and that nobody has asked for, because by now another one will be asked for instead.</summary>
    public void DropUnused(string identity)
    {
        lock (_gate)
        {
            if (_unused.Remove(identity) && _finished.TryGetValue(identity, out LinkedListNode<(string Identity, long Length)>? node))
            {
                Remove(node);
            }
        }
    }

    public (int Count, long Bytes, int Building) Usage
    {
        get
        {
            lock (_gate)
            {
                return (_recent.Count, _recent.Sum(f => f.Length), _building.Count);
            }
        }
    }

    public (int Count, long Bytes) Collect(Predicate<Digest> isKnown)
    {
        (int Count, long Bytes) removed = default;
        string[] identities;
        lock (_gate)
        {
            identities = [.. _finished.Keys];
        }

        foreach (string identity in identities)
        {
            string images = Path.Combine(_root, identity + ImagesSuffix);
            lock (_gate)
            {
                if (_finished.TryGetValue(identity, out LinkedListNode<(string Identity, long Length)>? node) && File.Exists(images)
                    && !File.ReadLines(images).All(line => Digest.TryParse(line, out Digest image) && isKnown(image)))
                {
                    Remove(node);
                    removed = (removed.Count + 1, removed.Bytes + node.Value.Length);
                }
            }
        }

        return removed;
    }

    /// <summary>May be called more than once: the container has it under two names.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _stopping.CancelAsync();
        Task[] builds;
        lock (_gate)
        {
            builds = [.. _building.Values.Select(f => f.Build)];
        }

        await Task.WhenAll(builds);
        _stopping.Dispose();
    }

    /// <summary>The caller holds the lock.</summary>
    private GrowingFile Begin(string identity, IReadOnlyCollection<Digest>? images)
    {
        ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
        if (images is not null)
        {
            File.WriteAllLines(Path.Combine(_root, identity + ImagesSuffix), images.Select(i => i.ToString()));
        }

        GrowingFile file = new(Path.Combine(_root, identity + PartialSuffix));
        _building.Add(identity, file);
        return file;
    }

    private async Task BuildAsync(string identity, GrowingFile file, Func<Stream, CancellationToken, Task> build)
    {
        long started = Stopwatch.GetTimestamp();
        using Activity? span = ProxyTelemetry.Source.StartActivity("build bundle");
        span?.SetTag("starlight.bundle", identity);
        try
        {
            await using (Stream output = file.OpenWrite())
            {
                await build(output, _stopping.Token);
            }

            // Its readers need not wait for the disk. What has its final name survives a power failure, or a bundle cut short would be served until it is evicted.
            file.Finish();
            using (SafeFileHandle written = File.OpenHandle(file.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete))
            {
                RandomAccess.FlushToDisk(written);
            }

            lock (_gate)
            {
                File.Move(file.Path, Path.Combine(_root, identity), overwrite: true);
                _building.Remove(identity);
                _finished[identity] = _recent.AddLast((identity, file.Written));
                if (!file.IsWanted)
                {
                    _unused.Add(identity);
                }

                Evict();
            }

            ContentsLog.BundleBuilt(_logger, identity, file.Written);
            ProxyTelemetry.BundleBuildTime.Record(Stopwatch.GetElapsedTime(started).TotalSeconds);
            span?.SetTag("starlight.bytes", file.Written);
        }
        catch (Exception e)
        {
            // Not hidden: every reader of the file gets it. The build has no caller of its own.
            lock (_gate)
            {
                // Inside the lock: the next attempt has files of the same names.
                _building.Remove(identity);
                File.Delete(file.Path);
                File.Delete(Path.Combine(_root, identity + ImagesSuffix));
            }

            ContentsLog.BundleFailed(_logger, identity, e.Message, e is OperationCanceledException or FailureException ? null : e);
            span?.SetStatus(ActivityStatusCode.Error, e.Message);
            file.Fail(e);
        }
    }

    /// <summary>The caller holds the lock.</summary>
    private CachedBundle? Find(string identity)
    {
        if (_building.TryGetValue(identity, out GrowingFile? growing))
        {
            growing.IsWanted = true;
            return CachedBundle.Growing(growing);
        }

        if (!_finished.TryGetValue(identity, out LinkedListNode<(string Identity, long Length)>? node))
        {
            return null;
        }

        string path = Path.Combine(_root, identity);
        try
        {
            CachedBundle bundle = CachedBundle.Finished(path, node.Value.Length);
            _unused.Remove(identity);
            _recent.Remove(node);
            _recent.AddLast(node);
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            return bundle;
        }
        catch (Exception e) when (e is FileNotFoundException or InvalidDataException)
        {
            // Removed or cut short behind our back: build it again.
            Remove(node);
            return null;
        }
    }

    /// <summary>The caller holds the lock.</summary>
    private void Remove(LinkedListNode<(string Identity, long Length)> node)
    {
        string identity = node.Value.Identity;
        _recent.Remove(node);
        _finished.Remove(identity);
        _unused.Remove(identity);
        File.Delete(Path.Combine(_root, identity));
        File.Delete(Path.Combine(_root, identity + ImagesSuffix));
    }

    /// <summary>The caller holds the lock or is the constructor. Readers of a removed file keep it until they close it.</summary>
    private void Evict()
    {
        long total = _recent.Sum(f => f.Length);
        while (total > _maxBytes && _recent.Count > 1)
        {
            (string identity, long length) = _recent.First!.Value;
            Remove(_recent.First);
            total -= length;
            ContentsLog.BundleEvicted(_logger, identity, length);
        }
    }
}
