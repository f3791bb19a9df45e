using Microsoft.Win32.SafeHandles;
using Starlight.Domain.Content;

namespace Starlight.Infrastructure.Bundles.Patches;

/// <summary>The contents that one patch makes, in order, with their old ones. One old content is open at a time: a block may hold thousands.</summary>
internal sealed class PatchTargets : IDisposable
{
    private readonly List<PatchPart> _parts = [];
    private Source? _open;

    /// <param name="bases">Knows the old contents.</param>
    /// <param name="contents">In stream order.</param>
    /// <param name="content">The first one of the block.</param>
    /// <param name="offset">Where the block begins in it.</param>
    /// <param name="length">Of the block.</param>
    public PatchTargets(KnownBases bases, IReadOnlyList<ContentRef> contents, int content, long offset, int length)
    {
        while (length > 0)
        {
            int part = (int)Math.Min(length, contents[content].Size - offset);
            Source? source = bases.BaseOf(content) is { } old ? new Source(this, bases, contents[content].Digest, old) : null;
            _parts.Add(new PatchPart(part, offset, source));
            length -= part;
            content++;
            offset = 0;
        }
    }

    public IReadOnlyList<PatchPart> Parts => _parts;

    public void Dispose() => _open?.Close();

    /// <summary>An old content, opened when it is first read.</summary>
    private sealed class Source(PatchTargets owner, KnownBases bases, Digest target, ContentRef old) : IPatchSource
    {
        private SafeFileHandle? _file;

        public long Length => old.Size;

        /// <exception cref="Domain.SharedKernel.FailureException">DataCorrupt <c>Bundle.BaseDamaged</c> if it is not here or shorter than it was.</exception>
        public void Read(long offset, Span<byte> into)
        {
            SafeFileHandle file = _file ?? Open();
            while (into.Length > 0)
            {
                int read = RandomAccess.Read(file, into, offset);
                if (read == 0)
                {
                    throw BundleErrors.BaseDamaged(target, old.Digest);
                }

                into = into[read..];
                offset += read;
            }
        }

        public void Close()
        {
            _file?.Dispose();
            _file = null;
        }

        private SafeFileHandle Open()
        {
            owner._open?.Close();
            owner._open = this;
            return _file = bases.Open(old.Digest) ?? throw BundleErrors.BaseDamaged(target, old.Digest);
        }
    }
}
