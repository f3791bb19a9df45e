using System.Globalization;
using System.Runtime.InteropServices;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Compression.Native;

namespace Starlight.Infrastructure.Compression;

/// <summary>
/// The system's libzstd, without which there are no bundles. The framework has no Zstandard before .NET 11 and every distribution ships the library, so it is
/// called directly (ADR 0007).
/// </summary>
public static class ZstdLibrary
{
    internal const string FileName = "libzstd.so.1";

    /// <summary>1.4.0 made ZSTD_compress2, parameters and prefixes part of the stable interface (zstd CHANGELOG).</summary>
    private const int OldestUsable = 10400;

    private static readonly Lazy<Version> Loaded = new(static () => Require(FileName), LazyThreadSafetyMode.PublicationOnly);

    /// <summary>Version of the loaded library, e.g. 1.5.4. The bytes a compressor writes depend on it.</summary>
    /// <exception cref="FailureException">Unsupported <c>Zstd.LibraryMissing</c> or <c>Zstd.LibraryTooOld</c>.</exception>
    public static Version Version => Loaded.Value;

    /// <summary>Fails at start-up with a clear message instead of at the first bundle.</summary>
    /// <exception cref="FailureException">Unsupported <c>Zstd.LibraryMissing</c> or <c>Zstd.LibraryTooOld</c>.</exception>
    public static void EnsureAvailable() => _ = Loaded.Value;

    internal static Version Require(string fileName)
    {
        if (!NativeLibrary.TryLoad(fileName, typeof(ZstdLibrary).Assembly, DllImportSearchPath.SafeDirectories, out nint library)
            || !NativeLibrary.TryGetExport(library, "ZSTD_versionNumber", out _))
        {
            throw new FailureException(new Error(
                "Zstd.LibraryMissing",
                $"{fileName} cannot be loaded: install libzstd1 (Debian/Ubuntu), zstd-libs (Alpine) or libzstd (RHEL)",
                ErrorKind.Unsupported));
        }

        uint number = NativeZstd.VersionNumber();
        Version version = new((int)(number / 10000), (int)(number / 100 % 100), (int)(number % 100));
        return number >= OldestUsable
            ? version
            : throw new FailureException(new Error(
                "Zstd.LibraryTooOld",
                string.Create(CultureInfo.InvariantCulture, $"{fileName} is version {version}: 1.4.0 or newer is needed, update the system's zstd library"),
                ErrorKind.Unsupported));
    }
}
