namespace Starlight.Infrastructure.Pacing;

/// <summary>One piece of background work: rests three times as long as it worked, whenever somebody is being served. For one caller at a time.</summary>
public sealed class PacedWork(BackgroundPace pace, TimeProvider time)
{
    /// <summary>A quarter of the time is for the work.</summary>
    private const int Rest = 3;

    /// <summary>Shorter rests are saved up: timers are no finer than this. In milliseconds.</summary>
    private const double Least = 20;

    /// <summary>So that the work notices soon that nobody is being served any more. In milliseconds.</summary>
    private const double Most = 500;

    private long _resumed;
    private double _owed;

    /// <summary>Rests for the work since <see cref="Resume"/>, if that is due.</summary>
    public async ValueTask RestAsync(CancellationToken cancellationToken)
    {
        if (_resumed != 0 && pace.IsBusy)
        {
            _owed += time.GetElapsedTime(_resumed).TotalMilliseconds * Rest;
            if (_owed >= Least)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(_owed, Most)), time, cancellationToken);
                _owed = 0;
            }
        }
    }

    /// <summary>From now on it works.</summary>
    public void Resume() => _resumed = time.GetTimestamp();
}
