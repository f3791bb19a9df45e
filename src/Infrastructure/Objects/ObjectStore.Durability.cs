using System.Globalization;
using System.Security.Cryptography;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects.Native;

namespace Starlight.Infrastructure.Objects;

/// <summary>
/// What survives a power loss. Objects are not fsynced one by one (about 1 ms each). A name can therefore reach the disk before its bytes, and
/// after a power loss an object may be short or zero although its name says it is complete. The file <c>synced</c> closes that hole:
/// <code>
/// &lt;boot id&gt; &lt;unix seconds of the last Sync&gt;\n
/// </code>
/// The same boot id at the next start means that the page cache survived: nothing to do, however the daemon died. Another boot id means that
/// objects changed after that time are suspect: they are hashed again and the damaged ones removed. A stale file costs only more hashing.
/// </summary>
public sealed partial class ObjectStore
{
    private const string SyncedFileName = "synced";
    private const string BootIdPath = "/proc/sys/kernel/random/boot_id";

    /// <summary>Allowance for clock steps and for writes that ran while the last Sync did. Arbitrary; costs only hashing.</summary>
    private static readonly TimeSpan Slack = TimeSpan.FromMinutes(10);

    /// <summary>Guards the two steps of replacing <c>synced</c>.</summary>
    private readonly Lock _syncedFile = new();

    /// <summary>
    /// Waits until everything stored so far is on disk (syncfs of the file system, once). Call it before anything durable claims that an image is
    /// complete.
    /// </summary>
    public void Sync()
    {
        DateTimeOffset before = DateTimeOffset.UtcNow;
        if (ObjectSyscalls.SyncFs(Fd) != 0)
        {
            throw ObjectErrors.FromErrno("syncing", Root, Errno.Last);
        }

        WriteSynced(before);
    }

    private void RecheckAfterPowerLoss()
    {
        string path = Path.Combine(Root, SyncedFileName);
        string[] fields = File.Exists(path) ? File.ReadAllText(path).Split(' ', StringSplitOptions.TrimEntries) : [];
        if (fields.Length == 2 && fields[0] == ReadBootId())
        {
            return;
        }

        long since = fields.Length == 2 && long.TryParse(fields[1], NumberStyles.None, CultureInfo.InvariantCulture, out long seconds) ? seconds : 0;
        DateTime suspectFrom = DateTimeOffset.FromUnixTimeSeconds(since).UtcDateTime - (since > 0 ? Slack : TimeSpan.Zero);
        bool removed = false;
        foreach (Digest digest in Enumerate())
        {
            if (File.GetLastWriteTimeUtc(PathOf(digest)) >= suspectFrom && !HasItsDigest(digest))
            {
                removed |= Delete(digest);
            }
        }

        // What passed was read from the disk and needs no sync; a removal must not come undone behind a record that says "checked".
        if (removed)
        {
            Sync();
        }
        else
        {
            WriteSynced(DateTimeOffset.UtcNow);
        }
    }

    private bool HasItsDigest(Digest digest)
    {
        Span<byte> raw = stackalloc byte[Digest.Size];
        using FileStream content = OpenRead(digest);
        SHA256.HashData(content, raw);
        return new Digest(raw) == digest;
    }

    /// <summary>Replaces the file atomically; it need not be durable itself, an older one only makes more objects suspect.</summary>
    private void WriteSynced(DateTimeOffset at)
    {
        string path = Path.Combine(Root, SyncedFileName);
        string next = path + ".new";
        lock (_syncedFile)
        {
            File.WriteAllText(next, string.Create(CultureInfo.InvariantCulture, $"{ReadBootId()} {at.ToUnixTimeSeconds()}\n"));
            File.Move(next, path, overwrite: true);
        }
    }

    private static string ReadBootId() => File.ReadAllText(BootIdPath).Trim();
}
