using Starlight.Infrastructure.Images.Layers;
using Starlight.Infrastructure.Images.Tar;
using Starlight.Infrastructure.Streams;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>
/// The entries of a tar in another order: an entry is its headers, its content and its padding, and knows nothing of its neighbours. Without the zero blocks at the end. Reads the tar's
/// parts where they are; memory: nothing but where each entry is.
/// </summary>
/// <param name="tar">Stays the caller's.</param>
/// <param name="entries">Where each entry begins and ends, in the tar's order.</param>
/// <param name="first">Which come first; the others follow as they were.</param>
/// <param name="progress">Receives bytes read since its last call.</param>
internal sealed class RearrangedTar(BlobFile tar, IReadOnlyList<(long Start, long End)> entries, IReadOnlyList<int> first, IProgress<long>? progress) : ForwardReadStream
{
    private readonly IEnumerator<(long Start, long End)> _parts = Parts(entries, first).GetEnumerator();
    private Stream? _part;
    private int _padding;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!buffer.IsEmpty)
        {
            int read = _part is null ? 0 : await _part.ReadAsync(buffer, cancellationToken);
            if (read > 0)
            {
                progress?.Report(read);
                return read;
            }

            if (_padding > 0)
            {
                int zeros = Math.Min(_padding, buffer.Length);
                buffer.Span[..zeros].Clear();
                _padding -= zeros;
                return zeros;
            }

            if (!_parts.MoveNext())
            {
                break;
            }

            (long start, long end) = _parts.Current;
            _part = tar.Open(start, end - start);

            // the last entry of a tar may end without its padding, which it needs where it is not the last
            _padding = (int)(-(end - start) & (TarHeader.BlockSize - 1));
        }

        return 0;
    }

    protected override void Dispose(bool disposing)
    {
        _parts.Dispose();
        base.Dispose(disposing);
    }

    private static IEnumerable<(long Start, long End)> Parts(IReadOnlyList<(long Start, long End)> entries, IReadOnlyList<int> first)
    {
        foreach (int index in first)
        {
            yield return entries[index];
        }

        HashSet<int> taken = [.. first];
        (long start, long end) = (0, 0);
        for (int i = 0; i < entries.Count; i++)
        {
            if (taken.Contains(i))
            {
                continue;
            }

            if (entries[i].Start != end)
            {
                if (end > start)
                {
                    yield return (start, end);
                }

                start = entries[i].Start;
            }

            end = entries[i].End;
        }

        if (end > start)
        {
            yield return (start, end);
        }
    }
}
