using System.Runtime.InteropServices;

namespace Starlight.Infrastructure.Compression.Native;

/// <summary>
/// The part of zstd.h that is used (stable interface only, zstd 1.4.0 and newer). Sizes are size_t; functions that return a size return an error code in its
/// upper range, told apart by <see cref="IsError"/>.
/// </summary>
internal static partial class NativeZstd
{
    // ZSTD_cParameter
    public const int CompressionLevel = 100;
    public const int ContentSizeFlag = 200;
    public const int ChecksumFlag = 201;

    // ZSTD_dParameter
    public const int WindowLogMax = 100;

    // ZSTD_ResetDirective
    public const int ResetSessionOnly = 1;
    public const int ResetSessionAndParameters = 3;

    // ZSTD_EndDirective
    public const int Continue = 0;
    public const int Flush = 1;
    public const int End = 2;

    // ZSTD_ErrorCode (zstd_errors.h: values below 100 are stable since 1.3.1)
    public const int ErrorWindowTooLarge = 16;
    public const int ErrorMemoryAllocation = 64;
    public const int ErrorDestinationTooSmall = 70;

    // ZSTD_getFrameContentSize
    public const ulong ContentSizeUnknown = ulong.MaxValue;
    public const ulong ContentSizeError = ulong.MaxValue - 1;

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_versionNumber")]
    public static partial uint VersionNumber();

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_isError")]
    public static partial uint IsError(nuint code);

    /// <summary>A static string of the library: never freed.</summary>
    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_getErrorName")]
    public static partial nint GetErrorName(nuint code);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_getErrorCode")]
    public static partial int GetErrorCode(nuint code);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_compressBound")]
    public static partial nuint CompressBound(nuint size);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_minCLevel")]
    public static partial int MinLevel();

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_maxCLevel")]
    public static partial int MaxLevel();

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_createCCtx")]
    public static partial nint CreateCCtx();

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_freeCCtx")]
    public static partial nuint FreeCCtx(nint context);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_sizeof_CCtx")]
    public static partial nuint SizeOfCCtx(CompressionContext context);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_CCtx_reset")]
    public static partial nuint ResetCCtx(CompressionContext context, int directive);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_CCtx_setParameter")]
    public static partial nuint SetParameter(CompressionContext context, int parameter, int value);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_CCtx_setPledgedSrcSize")]
    public static partial nuint SetPledgedSize(CompressionContext context, ulong size);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_compress2")]
    public static unsafe partial nuint Compress2(CompressionContext context, byte* destination, nuint capacity, byte* source, nuint length);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_compressStream2")]
    public static unsafe partial nuint CompressStream2(CompressionContext context, OutBuffer* output, InBuffer* input, int endDirective);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_createDCtx")]
    public static partial nint CreateDCtx();

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_freeDCtx")]
    public static partial nuint FreeDCtx(nint context);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_sizeof_DCtx")]
    public static partial nuint SizeOfDCtx(DecompressionContext context);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_DCtx_reset")]
    public static partial nuint ResetDCtx(DecompressionContext context, int directive);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_DCtx_setParameter")]
    public static partial nuint SetParameter(DecompressionContext context, int parameter, int value);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_decompressDCtx")]
    public static unsafe partial nuint Decompress(DecompressionContext context, byte* destination, nuint capacity, byte* source, nuint length);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_decompressStream")]
    public static unsafe partial nuint DecompressStream(DecompressionContext context, OutBuffer* output, InBuffer* input);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_getFrameContentSize")]
    public static unsafe partial ulong GetFrameContentSize(byte* source, nuint length);

    [LibraryImport(ZstdLibrary.FileName, EntryPoint = "ZSTD_findFrameCompressedSize")]
    public static unsafe partial nuint FindFrameCompressedSize(byte* source, nuint length);

    /// <summary>ZSTD_inBuffer: { const void* src; size_t size; size_t pos; }.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct InBuffer
    {
        public byte* Source;
        public nuint Size;
        public nuint Position;
    }

    /// <summary>ZSTD_outBuffer: { void* dst; size_t size; size_t pos; }.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct OutBuffer
    {
        public byte* Destination;
        public nuint Size;
        public nuint Position;
    }
}
