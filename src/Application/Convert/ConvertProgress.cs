using Starlight.Domain.Content;

namespace Starlight.Application.Convert;

/// <summary>What is being done to a layer. In this order; a layer may leave stages out.</summary>
public enum ConvertStage
{
    /// <summary>Bytes of the source layer read.</summary>
    Converting,

    /// <summary>Bytes of the converted layer sent.</summary>
    Pushing,

    /// <summary>At the destination; it was there or could be mounted, so nothing was sent.</summary>
    Reused,

    /// <summary>At the destination; it was sent.</summary>
    Done,
}

/// <param name="Layer">Digest of the source layer.</param>
/// <param name="Stage">Now.</param>
/// <param name="BytesDone">Within the stage.</param>
/// <param name="BytesTotal">Within the stage.</param>
public readonly record struct LayerProgress(Digest Layer, ConvertStage Stage, long BytesDone, long BytesTotal);

/// <summary>Learns how a conversion goes on. Called from several threads and often: return at once.</summary>
public interface IConvertProgress
{
    void Report(LayerProgress progress);
}
