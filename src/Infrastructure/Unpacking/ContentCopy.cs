using System.Buffers;
using System.Runtime.InteropServices;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Unpacking.Native;

namespace Starlight.Infrastructure.Unpacking;

/// <summary>
/// Copies a content into a file of its own: by sharing its blocks where the file system can (FICLONE: btrfs, xfs), else within the kernel (copy_file_range), else through a buffer. What does not work once is
/// not tried again. Safe for concurrent use.
/// </summary>
internal sealed class ContentCopy
{
    private const int BufferSize = 128 * 1024;

    private volatile bool _clones = true;
    private volatile bool _ranges = true;

    /// <summary>Copies the <paramref name="size"/> bytes of a file from where it stands to the end of another. False, with errno set, if that fails.</summary>
    public bool Copy(int from, int to, long size)
    {
        if (_clones)
        {
            if (UnpackCalls.Ioctl(to, UnpackCalls.FICLONE, from) == 0)
            {
                return true;
            }

            _clones = false;
        }

        long left = size;
        while (_ranges && left > 0)
        {
            nint copied = UnpackCalls.CopyFileRange(from, to, left);
            if (copied > 0)
            {
                left -= copied;
            }
            else if (copied == 0 || Errno.Last is Errno.ENOSYS or Errno.EOPNOTSUPP or Errno.EXDEV or Errno.EINVAL)
            {
                // some file systems answer 0 where they cannot
                _ranges = false;
            }
            else if (Errno.Last != Errno.EINTR)
            {
                return false;
            }
        }

        return left == 0 || CopyThroughBuffer(from, to, left);
    }

    private static bool CopyThroughBuffer(int from, int to, long left)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            while (left > 0)
            {
                nint length = UnpackCalls.Read(from, buffer);
                if (length == 0)
                {
                    Marshal.SetLastPInvokeError(Errno.EIO); // shorter than a moment ago
                    return false;
                }

                if (length < 0 && Errno.Last != Errno.EINTR)
                {
                    return false;
                }

                for (int written = 0; written < length;)
                {
                    nint now = UnpackCalls.Write(to, buffer.AsSpan(written, (int)length - written));
                    if (now >= 0)
                    {
                        written += (int)now;
                    }
                    else if (Errno.Last != Errno.EINTR)
                    {
                        return false;
                    }
                }

                left -= Math.Max(length, 0);
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
