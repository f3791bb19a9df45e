using System.Globalization;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Bundles;

/// <summary>Everything that can be wrong with a bundle.</summary>
internal static class BundleErrors
{
    public static FailureException NotABundle() =>
        new(new Error("Bundle.NotABundle", "the bytes received are not a delta bundle: check the proxy's address and what stands in between", ErrorKind.DataCorrupt));

    /// <param name="what">The version, flag or kind that is not known here.</param>
    public static FailureException TooNew(string what) =>
        new(new Error("Bundle.TooNew", $"the bundle was made by a newer proxy ({what}): update the worker", ErrorKind.Unsupported));

    public static FailureException TooOld(int version) => new(new Error(
        "Bundle.TooOld",
        string.Create(CultureInfo.InvariantCulture, $"the bundle was made by an older proxy (format version {version}, known is {BundleFormat.Version}): update the proxy"),
        ErrorKind.Unsupported));

    /// <summary>What the bundle builds upon is not here, or not what it was. Without patches the same images can be had.</summary>
    public static FailureException BaseIncomplete(Digest filesystem) => new(new Error(
        "Bundle.BaseIncomplete", $"the bundle builds upon the filesystem image {filesystem}, which is not on this worker or damaged: ask for one without patches", ErrorKind.FailedPrecondition));

    /// <summary>A patch gave something else than the content, or could not be applied.</summary>
    public static FailureException BaseDamaged(Digest content, Digest old, Exception? inner = null) => new(
        new Error("Bundle.BaseDamaged", $"{content} cannot be made from {old}: this worker's copy of the latter is damaged or gone", ErrorKind.DataCorrupt), inner);

    /// <param name="offset">Of the part that is damaged, from the beginning of the bundle.</param>
    /// <param name="why">What does not fit.</param>
    /// <param name="inner">What found it, if something else did.</param>
    public static FailureException Corrupt(long offset, string why, Exception? inner = null) =>
        new(new Error("Bundle.Corrupt", string.Create(CultureInfo.InvariantCulture, $"the bundle is damaged at offset {offset}: {why}"), ErrorKind.DataCorrupt), inner);

    public static FailureException TooLarge(string what, long actual, long limit) =>
        new(new Error("Bundle.TooLarge", string.Create(CultureInfo.InvariantCulture, $"the bundle's {what} is {actual}, above the limit of {limit}"), ErrorKind.ResourceExhausted));

    /// <param name="received">Bytes received since the beginning of the bundle.</param>
    /// <param name="expected">What was still to come, in words: the length of the whole bundle is only known at its end.</param>
    /// <param name="inner">What the transport said, if it said something.</param>
    public static FailureException Truncated(long received, string expected, Exception? inner = null) =>
        new(new Error("Bundle.Truncated", string.Create(CultureInfo.InvariantCulture, $"the bundle ends after {received} bytes, {expected}: ask for the rest"), ErrorKind.Unavailable), inner);

    public static FailureException ContentsDisagree(string why) =>
        new(new Error("Bundle.ContentsDisagree", $"the bundle's plan does not fit its filesystem images: {why}", ErrorKind.DataCorrupt));

    public static FailureException ContentMismatch(ContentRef content, string why) =>
        new(new Error("Bundle.ContentMismatch", $"content {content.Digest} cannot be sent: {why}", ErrorKind.DataCorrupt));
}
