using System.Runtime.InteropServices;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression.Native;

namespace Starlight.Infrastructure.Compression;

/// <summary>Turns libzstd's return codes into our failures.</summary>
internal static class ZstdErrors
{
    public static bool IsError(nuint code) => NativeZstd.IsError(code) != 0;

    /// <summary>Any other error than want of memory is a mistake of ours here (a parameter out of range, a buffer too small).</summary>
    /// <exception cref="FailureException">ResourceExhausted <c>Zstd.OutOfMemory</c>.</exception>
    public static nuint CheckCompression(nuint code)
    {
        if (!IsError(code))
        {
            return code;
        }

        throw NativeZstd.GetErrorCode(code) == NativeZstd.ErrorMemoryAllocation
            ? OutOfMemory()
            : new InvalidOperationException($"libzstd: {Name(code)}");
    }

    /// <exception cref="FailureException">DataCorrupt <c>Zstd.Corrupt</c>, ResourceExhausted <c>Zstd.WindowTooLarge</c> or <c>Zstd.OutOfMemory</c>.</exception>
    public static nuint CheckDecompression(nuint code)
    {
        if (!IsError(code))
        {
            return code;
        }

        throw NativeZstd.GetErrorCode(code) switch
        {
            NativeZstd.ErrorMemoryAllocation => OutOfMemory(),
            NativeZstd.ErrorWindowTooLarge => new FailureException(new Error(
                "Zstd.WindowTooLarge",
                "the zstd frame needs a larger window than is allowed here: compress it again without --long or with a smaller one",
                ErrorKind.ResourceExhausted)),
            _ => Corrupt(Name(code)),
        };
    }

    public static FailureException Corrupt(string why) =>
        new(new Error("Zstd.Corrupt", $"zstd data cannot be decompressed: {why}", ErrorKind.DataCorrupt));

    public static FailureException Truncated() =>
        new(new Error("Zstd.Truncated", "zstd data ends in the middle of a frame", ErrorKind.DataCorrupt));

    public static FailureException OutOfMemory() =>
        new(new Error("Zstd.OutOfMemory", "libzstd cannot allocate memory: give the process more or use a lower level", ErrorKind.ResourceExhausted));

    private static string Name(nuint code) => Marshal.PtrToStringUTF8(NativeZstd.GetErrorName(code)) ?? "unknown error";
}
