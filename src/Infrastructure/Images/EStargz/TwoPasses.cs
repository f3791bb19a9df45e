namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>Progress of a layer that is read to its end before it is written: each pass is half of the way. One pass at a time.</summary>
/// <param name="progress">Receives what was done since its last call, in bytes of the blob.</param>
/// <param name="blobSize">All of it.</param>
internal sealed class TwoPasses(IProgress<long> progress, long blobSize)
{
    private long _reported;

    /// <summary>Takes bytes done since its last call.</summary>
    /// <param name="number">0 or 1.</param>
    /// <param name="total">Bytes of this pass.</param>
    public IProgress<long> Pass(int number, long total) => new Half(this, number, total);

    private void Reach(double halves)
    {
        long now = (long)(blobSize * halves / 2);
        if (now > _reported)
        {
            progress.Report(now - _reported);
            _reported = now;
        }
    }

    private sealed class Half(TwoPasses passes, int number, long total) : IProgress<long>
    {
        private long _done;

        public void Report(long value)
        {
            _done += value;
            passes.Reach(number + Math.Min(1, (double)_done / Math.Max(1, total)));
        }
    }
}
