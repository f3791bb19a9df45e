using System.Globalization;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Telemetry;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Contents;

/// <summary>
/// What a content store holds, how much room that takes and when it was used last. Read from the directories, one per first digest byte, when first needed; some 50 bytes
/// for each content (<see cref="ContentTable"/>). Times of use live in the files' modification times, refreshed when they are more than <see cref="Stale"/> seconds behind: a crash makes the
/// order of eviction a little less good, nothing else. Safe for concurrent use.
/// </summary>
internal sealed class ContentInventory(string root, long limit, TimeProvider time) : IContentSweep
{
    /// <summary>Files take whole blocks of nearly every file system.</summary>
    private const int Block = 4096;

    /// <summary>Writing a time costs a system call per file, so an hour's accuracy has to do on disk.</summary>
    private const uint Stale = 3600;

    /// <summary>Eviction goes on to this part of the limit, so that it is not needed again at once.</summary>
    private const double LowWater = 0.9;

    private readonly ContentTable?[] _buckets = new ContentTable?[256];

    /// <summary>One per bucket.</summary>
    private readonly Lock[] _locks = [.. Enumerable.Range(0, 256).Select(_ => new Lock())];

    /// <summary>Guards the two fields below it.</summary>
    private readonly Lock _protections = new();

    /// <summary>When each protection began, oldest first.</summary>
    private readonly LinkedList<uint> _protectedFrom = [];

    /// <summary>One trim at a time.</summary>
    private readonly Lock _trimming = new();

    private long _bytes;
    private long _count;
    private long _evicted;

    /// <summary>Trimming again is useless before the store has grown to this: the last trim freed all that may go.</summary>
    private long _retryAt;

    private byte _mark;

    public StoreUsage Usage => new(Interlocked.Read(ref _count), Interlocked.Read(ref _bytes), limit, Interlocked.Read(ref _evicted));

    private uint Now => (uint)time.GetUtcNow().ToUnixTimeSeconds();

    public bool Contains(Digest content)
    {
        int bucket = Bucket(content);
        lock (_locks[bucket])
        {
            return Table(bucket).Contains(content);
        }
    }

    /// <summary>Counts every file, so that the limit holds for what earlier runs left.</summary>
    public void ReadAll()
    {
        for (int bucket = 0; bucket < _buckets.Length; bucket++)
        {
            lock (_locks[bucket])
            {
                Table(bucket);
            }
        }
    }

    /// <summary>Runs <paramref name="publish"/>, which makes the file appear, unless the content is there already.</summary>
    public bool TryAdd(Digest content, long length, Action publish)
    {
        int bucket = Bucket(content);
        lock (_locks[bucket])
        {
            ContentTable table = Table(bucket);
            if (table.Contains(content))
            {
                return false;
            }

            publish();
            StoredContent added = new(BlocksOf(length), Now, _mark);
            table.TryAdd(content, added);
            Count(added, +1);
            return true;
        }
    }

    /// <summary>Forgets a content whose file is gone, or removes the file first if there is one.</summary>
    public void Remove(Digest content)
    {
        int bucket = Bucket(content);
        lock (_locks[bucket])
        {
            DeleteFile(content);
            if (Table(bucket).TryRemove(content, out StoredContent removed))
            {
                Count(removed, -1);
            }
        }
    }

    public void Touch(IEnumerable<ContentRef> contents)
    {
        uint now = Now;
        foreach (ContentRef content in contents)
        {
            int bucket = Bucket(content.Digest);
            bool stale = false;
            lock (_locks[bucket])
            {
                ContentTable table = Table(bucket);
                if (table.TryFind(content.Digest, out StoredContent stored) && stored.Used < now)
                {
                    stale = now - stored.Used > Stale;
                    table.Update(content.Digest, stored with { Used = now });
                }
            }

            if (stale)
            {
                SetTime(content.Digest, now);
            }
        }
    }

    public IDisposable Protect()
    {
        lock (_protections)
        {
            return new Protection(this, _protectedFrom.AddLast(Now));
        }
    }

    /// <summary>
    /// Removes the least recently used contents if the store has outgrown its limit; returns what was removed. Nothing is copied or sorted: two passes over what is in memory.
    /// </summary>
    public (long Count, long Bytes) Trim()
    {
        long bytes = Interlocked.Read(ref _bytes);
        if (bytes <= limit || bytes < Interlocked.Read(ref _retryAt))
        {
            return default;
        }

        lock (_trimming)
        {
            uint before = EvictableBefore();
            UseHistogram histogram = new();
            Visit((_, stored) =>
            {
                if (stored.Used < before)
                {
                    histogram.Add(stored.Used, BytesOf(stored));
                }

                return false;
            });
            long wanted = Interlocked.Read(ref _bytes) - (long)(limit * LowWater);
            (long cutoff, long atCutoff) = histogram.CutoffFor(wanted);
            (long Count, long Bytes) removed = Visit((_, stored) =>
            {
                if (stored.Used >= before || stored.Used > cutoff || (stored.Used == cutoff && atCutoff <= 0))
                {
                    return false;
                }

                atCutoff -= stored.Used == cutoff ? BytesOf(stored) : 0;
                return true;
            });
            Interlocked.Add(ref _evicted, removed.Count);
            ProxyTelemetry.EvictedContents.Add(removed.Count);
            long left = Interlocked.Read(ref _bytes);
            Interlocked.Exchange(ref _retryAt, left > limit ? left + (limit / 20) : 0);
            return removed;
        }
    }

    public IContentSweep BeginSweep()
    {
        // What is read from disk later would count as having arrived meanwhile.
        ReadAll();
        _mark++;
        return this;
    }

    public void Keep(Digest content)
    {
        int bucket = Bucket(content);
        lock (_locks[bucket])
        {
            ContentTable table = Table(bucket);
            if (table.TryFind(content, out StoredContent stored) && stored.Mark != _mark)
            {
                table.Update(content, stored with { Mark = _mark });
            }
        }
    }

    (long Count, long Bytes) IContentSweep.Remove(DateTimeOffset unusedSince)
    {
        uint before = (uint)Math.Min(EvictableBefore(), Math.Max(0, unusedSince.ToUnixTimeSeconds()));
        return Visit((_, stored) => stored.Mark != _mark && stored.Used < before);
    }

    private static int Bucket(Digest content)
    {
        Span<byte> raw = stackalloc byte[Digest.Size];
        content.CopyTo(raw);
        return raw[0];
    }

    private static uint BlocksOf(long length) => (uint)((length + Block - 1) / Block);

    private uint EvictableBefore()
    {
        lock (_protections)
        {
            return _protectedFrom.First?.Value ?? uint.MaxValue;
        }
    }

    private static long BytesOf(StoredContent stored) => (long)stored.Blocks * Block;

    /// <summary>Looks at every content and removes those that <paramref name="remove"/> says. One that stays may be shown twice.</summary>
    private (long Count, long Bytes) Visit(Func<Digest, StoredContent, bool> remove)
    {
        (long Count, long Bytes) removed = default;
        for (int bucket = 0; bucket < _buckets.Length; bucket++)
        {
            lock (_locks[bucket])
            {
                Table(bucket).RemoveWhere((content, stored) =>
                {
                    if (!remove(content, stored))
                    {
                        return false;
                    }

                    DeleteFile(content);
                    Count(stored, -1);
                    removed = (removed.Count + 1, removed.Bytes + BytesOf(stored));
                    return true;
                });
            }
        }

        return removed;
    }

    private void Count(StoredContent stored, int sign)
    {
        Interlocked.Add(ref _bytes, sign * BytesOf(stored));
        ProxyTelemetry.StoredBytes.Add(sign * BytesOf(stored));
        Interlocked.Add(ref _count, sign);
    }

    /// <summary>The caller holds the bucket's lock.</summary>
    private ContentTable Table(int bucket)
    {
        if (_buckets[bucket] is { } known)
        {
            return known;
        }

        ContentTable found = new();
        string prefix = bucket.ToString("x2", CultureInfo.InvariantCulture);
        DirectoryInfo directory = new(Path.Combine(root, prefix));
        if (directory.Exists)
        {
            foreach (FileInfo file in directory.EnumerateFiles())
            {
                if (Digest.TryParseHex(prefix + file.Name, out Digest digest) && !digest.IsDefault)
                {
                    StoredContent stored = new(BlocksOf(file.Length), (uint)new DateTimeOffset(file.LastWriteTimeUtc).ToUnixTimeSeconds(), _mark);
                    found.TryAdd(digest, stored);
                    Count(stored, +1);
                }
            }
        }

        return _buckets[bucket] = found;
    }

    private void SetTime(Digest content, uint seconds)
    {
        try
        {
            File.SetLastWriteTimeUtc(PathOf(content), DateTimeOffset.FromUnixTimeSeconds(seconds).UtcDateTime);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            // Removed meanwhile: whoever reads it finds out.
        }
    }

    /// <summary>Someone may have removed it, or its directory, behind our back.</summary>
    private void DeleteFile(Digest content)
    {
        try
        {
            File.Delete(PathOf(content));
        }
        catch (DirectoryNotFoundException)
        {
        }
    }

    private string PathOf(Digest content) => Path.Combine(root, content.ObjectPath);

    private sealed class Protection(ContentInventory owner, LinkedListNode<uint> node) : IDisposable
    {
        public void Dispose()
        {
            lock (owner._protections)
            {
                // A second call finds it gone.
                if (node.List is not null)
                {
                    owner._protectedFrom.Remove(node);
                    Interlocked.Exchange(ref owner._retryAt, 0);
                }
            }

            owner.Trim();
        }
    }
}
