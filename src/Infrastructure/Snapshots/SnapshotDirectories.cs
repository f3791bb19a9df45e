using System.Globalization;
using Starlight.Application.Abstractions.Snapshots;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;
using Starlight.Infrastructure.Native;
using static Starlight.Infrastructure.Snapshots.Native.DirectoryCalls;

namespace Starlight.Infrastructure.Snapshots;

/// <summary>
/// <code>
/// ROOT/snapshots/12/fs     0755, owner of the parent's root: the layer, upperdir while it is active
/// ROOT/snapshots/12/work   0711: workdir, active snapshots only
/// ROOT/snapshots/new-…     being made
/// ROOT/snapshots/old-…     being deleted
/// </code>
/// </summary>
internal sealed class SnapshotDirectories : ISnapshotDirectories
{
    private const uint HomeMode = 0b111_000_000; // 0700
    private const uint ContentsMode = 0b111_101_101; // 0755
    private const uint WorkMode = 0b111_001_001; // 0711

    private const string MakingPrefix = "new-";
    private const string DeletingPrefix = "old-";

    private readonly string _directory;
    private readonly Lazy<OverlayFeatures> _overlay;

    private SnapshotDirectories(string directory)
    {
        _directory = directory;

        // Asked for at the first mount: the overlay module may be loaded only when something is mounted, and its parameters appear with it.
        _overlay = new Lazy<OverlayFeatures>(() => OverlayProbe.Run(directory));
    }

    public OverlayFeatures Overlay => _overlay.Value;

    /// <summary>
    /// Uses <paramref name="root"/>, created if need be. Fails with InvalidInput (a path that cannot stand in mount options) or Unsupported (a file system overlay cannot use).
    /// </summary>
    /// <exception cref="FailureException"/>
    public static SnapshotDirectories Open(string root)
    {
        string directory = Path.Combine(Path.GetFullPath(root), "snapshots");
        if (directory.AsSpan().ContainsAny(':', ',', '\\'))
        {
            throw new FailureException(new Error(
                "SnapshotDirectory.PathNotMountable", $"{root} cannot hold snapshots: overlay's mount options allow no ':', ',' or '\\' in a path; choose another root", ErrorKind.InvalidInput));
        }

        if (Path.GetDirectoryName(Path.GetFullPath(root)) is { } above)
        {
            Directory.CreateDirectory(above);
        }

        MakeIfMissing(Path.GetFullPath(root));
        MakeIfMissing(directory);
        CheckEntryTypes(directory);
        return new SnapshotDirectories(directory);
    }

    public string Contents(long id) => $"{_directory}/{id.ToString(CultureInfo.InvariantCulture)}/fs";

    public string Work(long id) => $"{_directory}/{id.ToString(CultureInfo.InvariantCulture)}/work";

    public void Create(long id, bool writable, string? ownerOf)
    {
        string making = Path.Combine(_directory, MakingPrefix + Path.GetRandomFileName());
        try
        {
            MakeNew(making, HomeMode);
            MakeNew($"{making}/fs", ContentsMode);
            if (writable)
            {
                MakeNew($"{making}/work", WorkMode);
            }

            if (ownerOf is not null)
            {
                CopyOwner($"{making}/fs", ownerOf);
            }

            string final = Home(id);
            int result = Rename(AT_FDCWD, Bytes(making), AT_FDCWD, Bytes(final));
            if (result is -ENOTEMPTY or -EEXIST)
            {
                // The number was given before, by a transaction that did not make it to the disk.
                DirectoryTree.Delete(final);
                result = Rename(AT_FDCWD, Bytes(making), AT_FDCWD, Bytes(final));
            }

            if (result < 0)
            {
                throw Failure("create", final, -result);
            }
        }
        catch (FailureException)
        {
            DirectoryTree.Delete(making);
            throw;
        }
    }

    public void CopyOwner(long id, string directory) => CopyOwner(Contents(id), directory);

    public SnapshotUsage Measure(long id, CancellationToken cancellationToken) => DirectoryTree.Measure(Contents(id), cancellationToken);

    public void Delete(long id) => DirectoryTree.Delete(Home(id));

    public IReadOnlyList<string> SetAsideLeftovers(IReadOnlySet<long> known)
    {
        List<string> leftovers = [];
        foreach (string path in Directory.EnumerateFileSystemEntries(_directory).ToList())
        {
            string name = Path.GetFileName(path);
            if (long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out long id) && known.Contains(id))
            {
                continue;
            }

            if (name.StartsWith(DeletingPrefix, StringComparison.Ordinal))
            {
                leftovers.Add(path);
                continue;
            }

            string aside = Path.Combine(_directory, DeletingPrefix + Path.GetRandomFileName());
            int result = Rename(AT_FDCWD, Bytes(path), AT_FDCWD, Bytes(aside));
            if (result == 0)
            {
                leftovers.Add(aside);
            }
            else if (result != -ENOENT)
            {
                throw Failure("set aside", path, -result);
            }
        }

        return leftovers;
    }

    public void DeleteSetAside(string leftover) => DirectoryTree.Delete(leftover);

    private string Home(long id) => $"{_directory}/{id.ToString(CultureInfo.InvariantCulture)}";

    private static void MakeNew(string path, uint mode)
    {
        if (MakeDirectory(path, mode) is < 0 and var error)
        {
            throw Failure("create", path, -error);
        }
    }

    private static void MakeIfMissing(string path)
    {
        if (!Directory.Exists(path))
        {
            MakeNew(path, HomeMode);
        }
    }

    private static void CopyOwner(string path, string from)
    {
        if (FileStatus.Read(from, out FileStatus owner) is < 0 and var missing)
        {
            throw Failure("look up the owner of", from, -missing);
        }

        if (ChangeOwner(path, owner.Uid, owner.Gid) is < 0 and var refused)
        {
            throw Failure("change the owner of", path, -refused);
        }
    }

    /// <summary>Overlay's whiteouts need a file system whose readdir tells entry types (XFS without ftype=1 does not).</summary>
    private static void CheckEntryTypes(string directory)
    {
        string probe = Path.Combine(directory, MakingPrefix + Path.GetRandomFileName());
        MakeNew(probe, HomeMode);
        MakeNew($"{probe}/entry", HomeMode);
        int fd = OpenDirectory(AT_FDCWD, Bytes(probe));
        if (fd < 0)
        {
            throw Failure("open", probe, -fd);
        }

        try
        {
            if (Entries(fd, probe).Exists(entry => entry.Type == DT_UNKNOWN))
            {
                throw new FailureException(new Error(
                    "SnapshotDirectory.NoEntryTypes", $"the file system of {directory} does not support d_type, which overlay needs: format XFS with ftype=1", ErrorKind.Unsupported));
            }
        }
        finally
        {
            Close(fd);
            DirectoryTree.Delete(probe);
        }
    }
}
