using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Images.Layers;

/// <summary>The failures of reading layers, in one place so that every parser words them alike.</summary>
internal static class LayerFailures
{
    /// <summary>The bytes break the format they claim to have.</summary>
    public static FailureException Malformed(string why, Exception? cause = null) =>
        new(new Error("Layer.Malformed", $"the layer cannot be read: {why}", ErrorKind.DataCorrupt), cause);

    /// <summary>The format is followed, but beyond what any real layer needs.</summary>
    public static FailureException TooLarge(string what) =>
        new(new Error("Layer.TooLarge", $"the layer is refused: {what}", ErrorKind.ResourceExhausted));

    /// <summary>A format that we recognise and do not read.</summary>
    public static FailureException Unsupported(string what) =>
        new(new Error("Layer.Unsupported", $"the layer cannot be read: {what}", ErrorKind.Unsupported));

    public static FailureException IndexMalformed(string why) =>
        new(new Error("LayerIndex.Malformed", $"the stored layer index cannot be read: {why}; index the image again", ErrorKind.DataCorrupt));
}
