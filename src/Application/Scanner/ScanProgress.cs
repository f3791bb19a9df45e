using System.Collections.Concurrent;
using Starlight.Application.Convert;
using Starlight.Application.Notify;
using Starlight.Domain.Content;
using Starlight.Domain.Scanning;

namespace Starlight.Application.Scanner;

/// <summary>
/// Sums up what conversion and indexing report about single layers: the stage, and how much of it is done of the layers begun so far. Written by several threads, read by
/// the heartbeat.
/// </summary>
internal sealed class ScanProgress : IConvertProgress, IProgress<NotifyProgress>
{
    private readonly ConcurrentDictionary<(ScanStage Stage, Digest Layer), (long Done, long Total)> _layers = new();
    private volatile int _stage;

    public (ScanStage Stage, int Percent) Current
    {
        get
        {
            ScanStage stage = (ScanStage)_stage;
            long done = 0;
            long total = 0;
            foreach (((ScanStage Stage, Digest Layer) key, (long Done, long Total) layer) in _layers)
            {
                if (key.Stage == stage)
                {
                    done += layer.Done;
                    total += layer.Total;
                }
            }

            return (stage, total > 0 ? (int)(Math.Min(done, total) * 100 / total) : 0);
        }
    }

    public void Report(LayerProgress progress)
    {
        switch (progress.Stage)
        {
            case ConvertStage.Converting:
                Report(ScanStage.Converting, progress.Layer, progress.BytesDone, progress.BytesTotal);
                break;
            case ConvertStage.Pushing:
                Report(ScanStage.Pushing, progress.Layer, progress.BytesDone, progress.BytesTotal);
                break;
        }
    }

    public void Report(NotifyProgress value)
    {
        switch (value.Stage)
        {
            case NotifyStage.Layer:
                Report(ScanStage.Indexing, value.Subject, value.Bytes, value.Total);
                break;
            case NotifyStage.Resolved:
                _stage = (int)ScanStage.Indexing;
                break;
            case NotifyStage.Storing:
                _stage = (int)ScanStage.Storing;
                break;
        }
    }

    private void Report(ScanStage stage, Digest layer, long done, long total)
    {
        _layers[(stage, layer)] = (done, total);
        _stage = (int)stage;
    }
}
