using Starlight.Infrastructure.Snapshots.Native;

namespace Starlight.Infrastructure.Native;

/// <summary>To whom files belong (chown(2)).</summary>
public static class FileOwner
{
    /// <summary>Gives <paramref name="path"/> the owner and group of <paramref name="from"/>.</summary>
    /// <exception cref="UnauthorizedAccessException">This process may not give files away, and they belong to somebody else.</exception>
    /// <exception cref="IOException">Anything else.</exception>
    public static void Copy(string path, string from)
    {
        if (FileStatus.Read(from, out FileStatus wanted) is < 0 and var missing)
        {
            throw new IOException($"the owner of {from} cannot be looked up (error {-missing})");
        }

        if (FileStatus.Read(path, out FileStatus present) == 0 && (present.Uid, present.Gid) == (wanted.Uid, wanted.Gid))
        {
            return;
        }

        if (DirectoryCalls.ChangeOwner(path, wanted.Uid, wanted.Gid) is < 0 and var refused)
        {
            throw new UnauthorizedAccessException($"{path} cannot be given to the owner of {from}, user {wanted.Uid} and group {wanted.Gid} (error {-refused}): run this as that user or as root");
        }
    }
}
