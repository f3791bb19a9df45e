using System.Globalization;

namespace Starlight.Benchmarks.Updates;

/// <summary>One bundle: its length, what of it is header, seconds until the proxy had made it, and seconds of one core to read it.</summary>
internal sealed record BundleFigures(long Length, long Header, double BuildSeconds, double ProxyCpuSeconds, double ReadSeconds);

/// <summary>What an update costs in bytes and seconds.</summary>
/// <param name="Contents">Changed or new files, each content once.</param>
/// <param name="Raw">Their bytes.</param>
/// <param name="Gzip">Their bytes gzipped one by one (gzip -6).</param>
/// <param name="Whole">The bundle without patches.</param>
/// <param name="Patched">The bundle with patches.</param>
/// <param name="ProxyPeakMegabytes">Resident memory of the proxy at its highest, before and after the two bundles were made.</param>
/// <param name="OwnPeakMegabytes">The same of the program that read them.</param>
internal sealed record UpdateFigures(
    int Contents, long Raw, long Gzip, BundleFigures Whole, BundleFigures Patched, (double Before, double After) ProxyPeakMegabytes, double OwnPeakMegabytes)
{
    public double Ratio => (double)Patched.Length / Gzip;

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"""
        changed contents        {Contents,12:N0}
        raw bytes               {Raw,12:N0}
        gzip -6 one by one      {Gzip,12:N0}   1.000
        bundle without patches  {Whole.Length,12:N0}   {(double)Whole.Length / Gzip:0.000}   header {Whole.Header,9:N0}   made in {Whole.BuildSeconds:0.00} s ({Whole.ProxyCpuSeconds:0.00} s CPU)   read in {Whole.ReadSeconds:0.00} s
        bundle with patches     {Patched.Length,12:N0}   {Ratio:0.000}   header {Patched.Header,9:N0}   made in {Patched.BuildSeconds:0.00} s ({Patched.ProxyCpuSeconds:0.00} s CPU)   read in {Patched.ReadSeconds:0.00} s
        proxy's peak memory     {ProxyPeakMegabytes.Before:0} MB before, {ProxyPeakMegabytes.After:0} MB after; reader's {OwnPeakMegabytes:0} MB
        """);
}
