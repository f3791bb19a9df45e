using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts.Native;

namespace Starlight.Infrastructure.Objects;

/// <summary>What can go wrong with stored contents.</summary>
internal static class ObjectErrors
{
    public static Error DigestMismatch(Digest expected, Digest actual, long size) => new(
        "Object.DigestMismatch",
        $"the {size} bytes received for {expected} have the digest {actual}: the source sent damaged data; fetch it again",
        ErrorKind.DataCorrupt);

    public static Error SizeMismatch(Digest expected, long expectedSize, long actualSize) => new(
        "Object.DigestMismatch",
        $"{actualSize} bytes were received for {expected}, which has {expectedSize}: the source sent damaged data; fetch it again",
        ErrorKind.DataCorrupt);

    public static Error TooLong(long expectedSize) => new(
        "Object.DigestMismatch",
        $"more than the announced {expectedSize} bytes were received for a content: the source sent damaged data; fetch it again",
        ErrorKind.DataCorrupt);

    public static Error Missing(Digest digest, string root) => new(
        "Object.NotFound", $"the content {digest} is not in the object store {root}", ErrorKind.NotFound);

    /// <summary>No source has the content any more, or nobody ever asked one: an open of it gets EIO.</summary>
    public static Error Unexpected(Digest digest) => new(
        "Object.Unavailable",
        $"the content {digest} is neither stored nor on its way: pull its image again",
        ErrorKind.Unavailable);

    public static FailureException FromErrno(string what, string root, int errno) => new(errno switch
    {
        Errno.ENOSPC or Errno.EDQUOT => new Error(
            "Object.NoSpace",
            $"{what} in the object store {root} failed, the disk or quota is full: free space or remove unused images",
            ErrorKind.ResourceExhausted),
        Errno.EOPNOTSUPP => new Error(
            "Object.FileSystemUnsuitable",
            $"{what} in the object store {root} failed, its file system has no unnamed files: put it on ext4, xfs or btrfs",
            ErrorKind.Unsupported),
        _ => new Error("Object.StoreFailed", $"{what} in the object store {root} failed: {Errno.Describe(errno)}", ErrorKind.Internal),
    });
}
