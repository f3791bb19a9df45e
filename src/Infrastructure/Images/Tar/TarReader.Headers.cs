using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.Images.Tar;

/// <summary>From header blocks to entries.</summary>
internal sealed partial class TarReader
{
    /// <summary>Extension headers seen since the last entry; each kind applies to the next entry only, the last one of a kind wins.</summary>
    private sealed class Extensions
    {
        public PaxRecords? Pax { get; set; }

        public PosixPath? LongName { get; set; }

        public PosixPath? LongLink { get; set; }
    }

    /// <summary>
    /// The next entry, or null at the end of the archive: two zero blocks, one zero block and the end of the stream, or just the end of the stream at a block boundary
    /// (many layer writers leave the zero blocks out). Skips what is left of the entry before.
    /// </summary>
    public async ValueTask<TarEntry?> NextAsync(CancellationToken cancellationToken)
    {
        await SkipContentAsync(cancellationToken);
        EntryOffset = _length - (_end - _start);
        _headers.ResetWrittenCount();
        Extensions extensions = new();
        while (true)
        {
            if (!await HaveBlockAsync(cancellationToken))
            {
                return null;
            }

            if (new TarHeader(PeekBlock()).IsZero)
            {
                return await EndOfArchiveAsync(cancellationToken);
            }

            byte type = CheckedTypeFlag();
            switch (type)
            {
                case (byte)'x' or (byte)'X' or (byte)'g' or (byte)'L' or (byte)'K':
                    Apply(extensions, type, await ReadExtensionAsync(cancellationToken));
                    break;
                case (byte)'V' or (byte)'s':
                    // a volume label; a socket, which means nothing at rest and which no runtime creates
                    await SkipIgnoredAsync(cancellationToken);
                    extensions = new Extensions();
                    break;
                default:
                    return await ReadEntryAsync(extensions, cancellationToken);
            }
        }
    }

    private byte CheckedTypeFlag()
    {
        TarHeader header = new(PeekBlock());
        return header.HasValidChecksum() ? header.TypeFlag : throw LayerFailures.Malformed("a tar header has a wrong checksum");
    }

    private async ValueTask<TarEntry?> EndOfArchiveAsync(CancellationToken cancellationToken)
    {
        _start += TarHeader.BlockSize;
        if (await HaveBlockAsync(cancellationToken) && !new TarHeader(PeekBlock()).IsZero)
        {
            throw LayerFailures.Malformed("a single zero block stands between two tar entries");
        }

        return null;
    }

    private async ValueTask SkipIgnoredAsync(CancellationToken cancellationToken)
    {
        long size = NonNegative(new TarHeader(PeekBlock()).Size, "size");
        _start += TarHeader.BlockSize;
        _headers.ResetWrittenCount();
        await SkipAsync(size, cancellationToken);
        await SkipAsync(PaddingOf(size), cancellationToken);
    }

    /// <summary>Consumes an extension header with its body; the returned body is valid until the next read.</summary>
    private async ValueTask<ReadOnlyMemory<byte>> ReadExtensionAsync(CancellationToken cancellationToken)
    {
        long size = NonNegative(new TarHeader(PeekBlock()).Size, "size");
        if (size > MaxExtensionSize)
        {
            throw LayerFailures.TooLarge($"an extension header has {size} bytes, more than {MaxExtensionSize}");
        }

        TakeHeaderBlock();
        int bodyStart = _headers.WrittenCount;
        for (long left = size; left > 0; left -= TarHeader.BlockSize)
        {
            if (!await HaveBlockAsync(cancellationToken))
            {
                throw LayerFailures.Malformed("the tar ends inside an extension header");
            }

            TakeHeaderBlock();
        }

        return _headers.WrittenMemory.Slice(bodyStart, (int)size);
    }

    private static void Apply(Extensions extensions, byte type, ReadOnlyMemory<byte> body)
    {
        switch (type)
        {
            case (byte)'L':
                extensions.LongName = LongText(body.Span);
                break;
            case (byte)'K':
                extensions.LongLink = LongText(body.Span);
                break;
            case (byte)'g':
                _ = PaxRecords.Parse(body.Span);
                break;
            default:
                extensions.Pax = PaxRecords.Parse(body.Span);
                break;
        }
    }

    private static PosixPath LongText(ReadOnlySpan<byte> body)
    {
        int nul = body.IndexOf((byte)0);
        return PosixPath.FromBytes(nul < 0 ? body : body[..nul]);
    }

    private async ValueTask<TarEntry> ReadEntryAsync(Extensions extensions, CancellationToken cancellationToken)
    {
        PaxRecords? pax = extensions.Pax;
        (FileKind kind, PosixPath name, long storedSize, bool oldSparse) = ReadKind(extensions);
        TarEntry plain = ReadFields(extensions, kind, name, storedSize);
        (List<long>? map, long realSize, bool moreExtents) = oldSparse ? ReadOldSparse() : (null, 0, false);
        TakeHeaderBlock();

        // GNU "S": further extents in blocks of their own, before the content
        while (moreExtents)
        {
            if (!await HaveBlockAsync(cancellationToken))
            {
                throw LayerFailures.Malformed("the tar ends inside a sparse file's map");
            }

            moreExtents = PeekBlock()[504] != 0;
            AddExtents(map!, PeekBlock()[..(TarHeader.OldSparseExtensionExtents * 24)]);
            TakeHeaderBlock();
        }

        _storedLeft = storedSize;
        _padding = PaddingOf(storedSize);
        if (kind == FileKind.Regular && !oldSparse && pax is not null && (pax.SparseMajor is not null || pax.SparseMap is not null))
        {
            (map, realSize) = await ReadPaxSparseAsync(pax, storedSize, cancellationToken);
        }

        if (map is null)
        {
            BeginPlain(plain.Size);
            return plain with { CanRepeatHeaders = plain.Size == storedSize, RawHeaders = _headers.WrittenMemory };
        }

        BeginSparse(SparseMap.Validate(map, realSize, _storedLeft), realSize);
        return plain with { Size = realSize, CanRepeatHeaders = false, RawHeaders = _headers.WrittenMemory };
    }

    private (FileKind Kind, PosixPath Name, long StoredSize, bool OldSparse) ReadKind(Extensions extensions)
    {
        TarHeader header = new(PeekBlock());
        PosixPath name = extensions.LongName ?? extensions.Pax?.Path ?? PlainName(header);
        byte type = header.TypeFlag;
        bool isDirectoryName = name.Raw.EndsWith('/');
        FileKind kind = type switch
        {
            (byte)'0' or (byte)'7' or (byte)'S' => FileKind.Regular,
            0 => isDirectoryName ? FileKind.Directory : FileKind.Regular,
            (byte)'1' => FileKind.HardLink,
            (byte)'2' => FileKind.Symlink,
            (byte)'3' => FileKind.CharacterDevice,
            (byte)'4' => FileKind.BlockDevice,
            // 'D' is GNU's incremental directory; its content is a list of names that only tar itself uses
            (byte)'5' or (byte)'D' => FileKind.Directory,
            (byte)'6' => FileKind.Fifo,
            _ => throw LayerFailures.Malformed($"'{name.Display}' has the unknown tar type 0x{type:x2}"),
        };
        bool hasContent = kind == FileKind.Regular || type == 'D';
        long size = hasContent ? NonNegative(extensions.Pax?.Size ?? header.Size, "size") : 0;
        return (kind, name, size, type == 'S' && header.IsGnu);
    }

    private TarEntry ReadFields(Extensions extensions, FileKind kind, PosixPath name, long size)
    {
        TarHeader header = new(PeekBlock());
        PaxRecords? pax = extensions.Pax;
        bool isDevice = kind is FileKind.CharacterDevice or FileKind.BlockDevice;
        return new TarEntry
        {
            Name = pax?.SparseName ?? name,
            Kind = kind,
            LinkName = extensions.LongLink ?? pax?.LinkPath ?? PosixPath.FromBytes(header.LinkName),
            Mode = header.Mode,
            Uid = Id(pax?.Uid ?? header.Uid),
            Gid = Id(pax?.Gid ?? header.Gid),
            UserName = pax?.UserName ?? PosixPath.FromBytes(header.UserName),
            GroupName = pax?.GroupName ?? PosixPath.FromBytes(header.GroupName),
            MtimeSeconds = pax?.Mtime?.Seconds ?? header.Mtime,
            MtimeNanoseconds = pax?.Mtime?.Nanoseconds ?? 0,
            DeviceMajor = isDevice ? Id(header.DeviceMajor) : 0,
            DeviceMinor = isDevice ? Id(header.DeviceMinor) : 0,
            Size = kind == FileKind.Regular ? size : 0,
            Xattrs = pax?.Xattrs ?? [],
        };
    }

    private (List<long> Map, long RealSize, bool More) ReadOldSparse()
    {
        TarHeader header = new(PeekBlock());
        List<long> map = [];
        AddExtents(map, header.OldSparseExtentList);
        return (map, NonNegative(header.OldSparseRealSize, "sparse size"), header.OldSparseHasExtension);
    }

    /// <summary>Offset and length, 12 bytes each; an extent that begins with NUL ends the list.</summary>
    private static void AddExtents(List<long> map, ReadOnlySpan<byte> list)
    {
        for (; list.Length >= 24 && list[0] != 0; list = list[24..])
        {
            map.Add(TarHeader.Number(list[..12], "sparse map"));
            map.Add(TarHeader.Number(list.Slice(12, 12), "sparse map"));
        }
    }

    private static PosixPath PlainName(TarHeader header)
    {
        PosixPath name = PosixPath.FromBytes(header.Name);
        ReadOnlySpan<byte> prefix = header.Prefix;
        return prefix.IsEmpty ? name : PosixPath.FromBytes(prefix).Append(name);
    }

    private static long NonNegative(long value, string what) => value >= 0 ? value : throw LayerFailures.Malformed($"a tar header has a negative {what}");

    /// <summary>Kernel ids have 32 bits. Some writers store "nobody" as -2, which is its unsigned twin.</summary>
    private static uint Id(long value) => value is >= int.MinValue and <= uint.MaxValue
        ? unchecked((uint)value)
        : throw LayerFailures.Malformed($"a tar header has the id {value}, which has more than 32 bits");
}
