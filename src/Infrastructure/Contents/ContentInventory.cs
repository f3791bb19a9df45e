using System.Globalization;
using Starlight.Application.Abstractions.Catalog;
using Starlight.Application.Telemetry;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Contents;

/// <summary>
/// What a content store holds, how much room that takes and when it was used last. Read from the directories, one per first digest byte, when first needed; 44 bytes and
/// the dictionary's own for each content. Times of use live in the files' modification times, refreshed when they are more than <see cref="Stale"/> seconds behind: a crash makes the
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

    private readonly Dictionary<Digest, Slot>?[] _buckets = new Dictionary<Digest, Slot>?[256];

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
            return Slots(bucket).ContainsKey(content);
        }
    }

    /// <summary>Counts every file, so that the limit holds for what earlier runs left.</summary>
    public void ReadAll()
    {
        for (int bucket = 0; bucket < _buckets.Length; bucket++)
        {
            lock (_locks[bucket])
            {
                Slots(bucket);
            }
        }
    }

    /// <summary>Runs <paramref name="publish"/>, which makes the file appear, unless the content is there already.</summary>
    public bool TryAdd(Digest content, long length, Action publish)
    {
        int bucket = Bucket(content);
        lock (_locks[bucket])
        {
            Dictionary<Digest, Slot> slots = Slots(bucket);
            if (slots.ContainsKey(content))
            {
                return false;
            }

            publish();
            Slot slot = new() { Blocks = BlocksOf(length), Used = Now, Mark = _mark };
            slots.Add(content, slot);
            Count(slot, +1);
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
            if (Slots(bucket).Remove(content, out Slot slot))
            {
                Count(slot, -1);
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
                Dictionary<Digest, Slot> slots = Slots(bucket);
                if (slots.TryGetValue(content.Digest, out Slot slot) && slot.Used < now)
                {
                    stale = now - slot.Used > Stale;
                    slot.Used = now;
                    slots[content.Digest] = slot;
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
            Visit((_, slot) =>
            {
                if (slot.Used < before)
                {
                    histogram.Add(slot.Used, slot.Bytes);
                }

                return false;
            });
            long wanted = Interlocked.Read(ref _bytes) - (long)(limit * LowWater);
            (long cutoff, long atCutoff) = histogram.CutoffFor(wanted);
            (long Count, long Bytes) removed = Visit((_, slot) =>
            {
                if (slot.Used >= before || slot.Used > cutoff || (slot.Used == cutoff && atCutoff <= 0))
                {
                    return false;
                }

                atCutoff -= slot.Used == cutoff ? slot.Bytes : 0;
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
            Dictionary<Digest, Slot> slots = Slots(bucket);
            if (slots.TryGetValue(content, out Slot slot) && slot.Mark != _mark)
            {
                slot.Mark = _mark;
                slots[content] = slot;
            }
        }
    }

    (long Count, long Bytes) IContentSweep.Remove(DateTimeOffset unusedSince)
    {
        uint before = (uint)Math.Min(EvictableBefore(), Math.Max(0, unusedSince.ToUnixTimeSeconds()));
        return Visit((_, slot) => slot.Mark != _mark && slot.Used < before);
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

    /// <summary>Looks at every content and removes those that <paramref name="remove"/> says.</summary>
    private (long Count, long Bytes) Visit(Func<Digest, Slot, bool> remove)
    {
        (long Count, long Bytes) removed = default;
        for (int bucket = 0; bucket < _buckets.Length; bucket++)
        {
            lock (_locks[bucket])
            {
                Dictionary<Digest, Slot> slots = Slots(bucket);

                // Removing while enumerating is allowed for dictionaries.
                foreach ((Digest content, Slot slot) in slots)
                {
                    if (remove(content, slot))
                    {
                        DeleteFile(content);
                        slots.Remove(content);
                        Count(slot, -1);
                        removed = (removed.Count + 1, removed.Bytes + slot.Bytes);
                    }
                }
            }
        }

        return removed;
    }

    private void Count(Slot slot, int sign)
    {
        Interlocked.Add(ref _bytes, sign * slot.Bytes);
        ProxyTelemetry.StoredBytes.Add(sign * slot.Bytes);
        Interlocked.Add(ref _count, sign);
    }

    /// <summary>The caller holds the bucket's lock.</summary>
    private Dictionary<Digest, Slot> Slots(int bucket)
    {
        if (_buckets[bucket] is { } known)
        {
            return known;
        }

        Dictionary<Digest, Slot> found = [];
        string prefix = bucket.ToString("x2", CultureInfo.InvariantCulture);
        DirectoryInfo directory = new(Path.Combine(root, prefix));
        if (directory.Exists)
        {
            foreach (FileInfo file in directory.EnumerateFiles())
            {
                if (Digest.TryParseHex(prefix + file.Name, out Digest digest))
                {
                    Slot slot = new() { Blocks = BlocksOf(file.Length), Used = (uint)new DateTimeOffset(file.LastWriteTimeUtc).ToUnixTimeSeconds(), Mark = _mark };
                    found.Add(digest, slot);
                    Count(slot, +1);
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

    private struct Slot
    {
        public uint Blocks;

        /// <summary>Seconds since 1970.</summary>
        public uint Used;

        /// <summary>The sweep that kept it last.</summary>
        public byte Mark;

        public readonly long Bytes => (long)Blocks * Block;
    }

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
