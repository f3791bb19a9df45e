using System.Buffers.Binary;
using System.Text;

namespace Starlight.Domain.Ordering;

/// <summary>
/// What an ELF program or shared object says it needs to be loaded. Every offset comes from the file and is checked; what is not ELF, or is damaged, needs nothing.
/// </summary>
/// <remarks>
/// System V ABI, https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html:
/// <code>
/// e_ident    0x7f 'E' 'L' 'F' · class (1: 32-bit, 2: 64-bit) · data (1: little endian, 2: big endian) · …          32-bit   64-bit
///            e_machine u16                                                                                     at      18       18
///            e_phoff   u32/u64   where the program headers are                                                 at      28       32
///            e_phentsize, e_phnum u16                                                                          at  42, 44   54, 56
/// Phdr       p_type u32 · p_offset · p_vaddr · p_filesz (words)                                                at 0, 4, 8, 16   0, 8, 16, 32
/// Dyn        d_tag · d_val (words); DT_NULL ends the list
/// strings    at DT_STRTAB (an address, found in the file through PT_LOAD), NUL-terminated
/// </code>
/// </remarks>
internal sealed class ElfFile
{
    private const int ProgramHeaderLoad = 1;
    private const int ProgramHeaderDynamic = 2;
    private const int ProgramHeaderInterpreter = 3;
    private const long TagNeeded = 1;
    private const long TagStringTable = 5;
    private const long TagRpath = 15;
    private const long TagRunpath = 29;

    /// <summary>Real programs have about a dozen. Arbitrary.</summary>
    private const int MaxProgramHeaders = 128;

    /// <summary>Real files have some forty entries and, at the very most, some hundred libraries. Arbitrary.</summary>
    private const int MaxDynamicEntries = 2048;

    /// <summary>PATH_MAX would do for a path, and search paths hold a few. Arbitrary.</summary>
    private const int MaxStringLength = 8192;

    private ElfFile()
    {
    }

    /// <summary>Class, byte order and machine: libraries of another kind are passed over by the loader.</summary>
    public (byte Class, byte Data, ushort Machine) Kind { get; private init; }

    /// <summary>Path of the program interpreter (PT_INTERP), or null.</summary>
    public string? Interpreter { get; private init; }

    /// <summary>DT_NEEDED in file order.</summary>
    public IReadOnlyList<string> Needed { get; private init; } = [];

    /// <summary>DT_RPATH, colon-separated, or null.</summary>
    public string? Rpath { get; private init; }

    /// <summary>DT_RUNPATH, colon-separated, or null.</summary>
    public string? Runpath { get; private init; }

    /// <param name="read">Bytes of the file from an offset, at most so many; null if they cannot be had.</param>
    public static ElfFile? TryRead(Func<long, int, ReadOnlyMemory<byte>?> read)
    {
        Reader reader = new(read);
        ReadOnlySpan<byte> header = reader.Bytes(0, 64);
        if (header.Length < 52 || !header.StartsWith("\u007fELF"u8) || header[4] is not (1 or 2) || header[5] is not (1 or 2))
        {
            return null;
        }

        bool wide = reader.Wide = header[4] == 2;
        bool big = reader.BigEndian = header[5] == 2;
        if (wide && header.Length < 64)
        {
            return null;
        }

        ushort Half(ReadOnlySpan<byte> bytes) => big ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : BinaryPrimitives.ReadUInt16LittleEndian(bytes);

        long tableOffset = reader.Word(header, wide ? 32 : 28);
        int entrySize = Half(header[(wide ? 54 : 42)..]);
        int count = Math.Min((int)Half(header[(wide ? 56 : 44)..]), MaxProgramHeaders);
        (byte, byte, ushort) kind = (header[4], header[5], Half(header[18..]));
        if (entrySize < (wide ? 56 : 32))
        {
            return new ElfFile { Kind = kind };
        }

        List<Segment> segments = [];
        ReadOnlySpan<byte> table = reader.Bytes(tableOffset, count * entrySize);
        for (int i = 0; i + entrySize <= table.Length; i += entrySize)
        {
            ReadOnlySpan<byte> entry = table[i..];
            int type = big ? BinaryPrimitives.ReadInt32BigEndian(entry) : BinaryPrimitives.ReadInt32LittleEndian(entry);
            segments.Add(new Segment(type, reader.Word(entry, wide ? 8 : 4), reader.Word(entry, wide ? 16 : 8), reader.Word(entry, wide ? 32 : 16)));
        }

        return ReadDynamic(reader, segments, kind);
    }

    private static ElfFile ReadDynamic(Reader reader, List<Segment> segments, (byte Class, byte Data, ushort Machine) kind)
    {
        List<(long Tag, long Value)> dynamic = [];
        Segment? section = segments.Find(s => s.Type == ProgramHeaderDynamic);
        int size = reader.Wide ? 16 : 8;
        ReadOnlySpan<byte> bytes = section is null ? [] : reader.Bytes(section.Offset, (int)Math.Clamp(section.FileSize, 0, MaxDynamicEntries * size));
        for (int i = 0; i + size <= bytes.Length; i += size)
        {
            (long tag, long value) = (reader.Word(bytes, i), reader.Word(bytes, i + (size / 2)));
            if (tag == 0)
            {
                break;
            }

            dynamic.Add((tag, value));
        }

        long? strings = dynamic.Where(d => d.Tag == TagStringTable).Select(d => FileOffset(segments, d.Value)).FirstOrDefault();
        List<string> needed = [];
        string? rpath = null;
        string? runpath = null;
        foreach ((long tag, long value) in dynamic)
        {
            if (tag is TagNeeded or TagRpath or TagRunpath && strings is { } table && value >= 0 && reader.String(table + value) is { Length: > 0 } text)
            {
                switch (tag)
                {
                    case TagNeeded:
                        needed.Add(text);
                        break;
                    case TagRpath:
                        rpath = text;
                        break;
                    default:
                        runpath = text;
                        break;
                }
            }
        }

        Segment? interpreter = segments.Find(s => s.Type == ProgramHeaderInterpreter);
        return new ElfFile
        {
            Kind = kind,
            Interpreter = interpreter is null ? null : reader.String(interpreter.Offset),
            Needed = needed,
            Rpath = rpath,
            Runpath = runpath,
        };
    }

    private static long? FileOffset(List<Segment> segments, long address) =>
        segments.Find(s => s.Type == ProgramHeaderLoad && address >= s.Address && address - s.Address < s.FileSize) is { } segment
            ? segment.Offset + (address - segment.Address)
            : null;

    private sealed record Segment(int Type, long Offset, long Address, long FileSize);

    private sealed class Reader(Func<long, int, ReadOnlyMemory<byte>?> read)
    {
        public bool Wide { get; set; }

        public bool BigEndian { get; set; }

        public ReadOnlySpan<byte> Bytes(long offset, int length) =>
            offset < 0 || length <= 0 || read(offset, length) is not { } bytes ? [] : bytes.Span[..Math.Min(length, bytes.Length)];

        /// <summary>A 64-bit value above 2^63 turns negative and is refused where it is used.</summary>
        public long Word(ReadOnlySpan<byte> bytes, int at) => (Wide, BigEndian) switch
        {
            (true, true) => BinaryPrimitives.ReadInt64BigEndian(bytes[at..]),
            (true, false) => BinaryPrimitives.ReadInt64LittleEndian(bytes[at..]),
            (false, true) => BinaryPrimitives.ReadUInt32BigEndian(bytes[at..]),
            _ => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]),
        };

        /// <summary>The NUL-terminated string at an offset; null if it has no end within the limit.</summary>
        public string? String(long offset)
        {
            // Names are short: the long read is for search paths.
            foreach (int length in (ReadOnlySpan<int>)[256, MaxStringLength])
            {
                ReadOnlySpan<byte> bytes = Bytes(offset, length);
                int end = bytes.IndexOf((byte)0);
                if (end >= 0)
                {
                    return Encoding.Latin1.GetString(bytes[..end]);
                }
            }

            return null;
        }
    }
}
