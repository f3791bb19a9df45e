using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Bundles.Patches;

/// <summary>
/// An old content too large for memory: spooled to an unnamed file, of which windows are read. Where a piece of the new content resembles it is found by anchors: places that a rolling
/// hash chooses by what stands there, about one in 4 KiB, so that they survive insertions of any length before them. Used by one task at a time.
/// </summary>
internal sealed class WindowedBase : IDisposable
{
    /// <summary>Longest old content that is taken whole, and length of a window. With its index a window takes 16 MiB of memory.</summary>
    public const int WindowLength = 8 << 20;

    /// <summary>Windows begin at multiples of this, so that neighbouring pieces share one.</summary>
    private const int Cell = 2 << 20;

    private const int CellsPerWindow = WindowLength / Cell;
    private const int CopyLength = 256 << 10;

    /// <summary>The top twelve bits of the hash: they depend on the last 64 bytes.</summary>
    private const ulong AnchorMask = 0xFFFUL << 52;

    private static readonly ulong[] Gear = MakeGear();

    private readonly SafeFileHandle _file;
    private readonly long _length;
    private readonly Dictionary<ulong, int> _anchors = []; // hash → cell where it is first
    private BaseWindow? _last;
    private long _lastCell = -1;

    private WindowedBase(SafeFileHandle file, long length) => (_file, _length) = (file, length);

    /// <param name="content">Its name and length, which are checked.</param>
    /// <param name="stream">Its bytes.</param>
    /// <param name="directory">Where the file is made.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public static async Task<WindowedBase> SpoolAsync(ContentRef content, Stream stream, string directory, CancellationToken cancellationToken)
    {
        SafeFileHandle file = File.OpenHandle(
            Path.Combine(directory, "starlight-base-" + Guid.NewGuid().ToString("N")), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose);
        WindowedBase spooled = new(file, content.Size);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(CopyLength);
        try
        {
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            ulong rolling = 0;
            long position = 0;
            while (await stream.ReadAsync(buffer.AsMemory(0, CopyLength), cancellationToken) is > 0 and int read)
            {
                hash.AppendData(buffer, 0, read);
                RandomAccess.Write(file, buffer.AsSpan(0, read), position);
                spooled.AddAnchors(buffer.AsSpan(0, read), position, ref rolling);
                position += read;
            }

            return position == content.Size && new Digest(hash.GetHashAndReset()) == content.Digest
                ? spooled
                : throw BundleErrors.ContentMismatch(content, "its bytes in the store have another length or digest");
        }
        catch
        {
            spooled.Dispose();
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>The window that has most anchors in common with a piece of the new content; without any, the one around the same offset. Valid until the next call unless retained.</summary>
    public BaseWindow WindowFor(ReadOnlySpan<byte> piece, long offset)
    {
        long cell = Best(piece) ?? Math.Max(0, ((Math.Min(offset, _length) + (piece.Length / 2)) / Cell) - (CellsPerWindow / 2));
        cell = Math.Clamp(cell, 0, Math.Max(0, ((_length + Cell - 1) / Cell) - CellsPerWindow));
        if (cell != _lastCell)
        {
            long start = cell * Cell;
            int length = (int)Math.Min(WindowLength, _length - start);
            byte[] bytes = ArrayPool<byte>.Shared.Rent(length);
            for (int read = 0; read < length;)
            {
                int count = RandomAccess.Read(_file, bytes.AsSpan(read, length - read), start + read);
                read += count > 0 ? count : throw new EndOfStreamException("a spooled content is shorter than it was");
            }

            _last?.Release();
            (_lastCell, _last) = (cell, new BaseWindow(bytes.AsMemory(0, length), start, bytes));
        }

        return _last!;
    }

    public void Dispose()
    {
        _file.Dispose();
        _last?.Release();
        _last = null;
    }

    /// <summary>First cell of the window with most of the piece's anchors; of several the one that has them nearest its middle.</summary>
    private long? Best(ReadOnlySpan<byte> piece)
    {
        SortedDictionary<int, int> votes = [];
        ulong rolling = 0;
        int votesInAll = 0;
        for (int i = 0; i < piece.Length; i++)
        {
            rolling = (rolling << 1) + Gear[piece[i]];
            if ((rolling & AnchorMask) == 0 && i >= 63 && _anchors.TryGetValue(rolling, out int cell))
            {
                votes[cell] = votes.GetValueOrDefault(cell) + 1;
                votesInAll++;
            }
        }

        if (votesInAll == 0)
        {
            return null;
        }

        (long Score, long Cell) best = (-1, 0);
        foreach (int voted in votes.Keys)
        {
            for (long first = Math.Max(0, voted - CellsPerWindow + 1); first <= voted; first++)
            {
                // The cells in the middle count a little more, so that a window has room on both sides.
                long score = 0;
                for (int i = 0; i < CellsPerWindow; i++)
                {
                    score += votes.GetValueOrDefault((int)first + i) * (i is 0 or CellsPerWindow - 1 ? 8L : 9L);
                }

                best = score > best.Score ? (score, first) : best;
            }
        }

        return best.Cell;
    }

    private void AddAnchors(ReadOnlySpan<byte> bytes, long position, ref ulong rolling)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            rolling = (rolling << 1) + Gear[bytes[i]];
            if ((rolling & AnchorMask) == 0)
            {
                _anchors.TryAdd(rolling, (int)((position + i) / Cell));
            }
        }
    }

    /// <summary>A random number for each byte value, the same in every process (splitmix64, S. Vigna).</summary>
    private static ulong[] MakeGear()
    {
        ulong[] gear = new ulong[256];
        ulong state = 0;
        for (int i = 0; i < gear.Length; i++)
        {
            state += 0x9E3779B97F4A7C15;
            ulong mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
            gear[i] = mixed ^ (mixed >> 31);
        }

        return gear;
    }
}
