using Microsoft.Extensions.Logging;
using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.ProxyClient;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>
/// Receives the contents of one bundle in the background:
/// <list type="number">
/// <item>contents go to the object store, verified, and waiting opens are released one by one;</item>
/// <item>a cut connection is taken up again at the block where it broke, with growing pauses, for as long as it takes: an edge link may be down for hours, and the
/// waiting opens can be killed meanwhile;</item>
/// <item>bytes that arrive damaged are asked for again; if they stay damaged the missing contents fail for good, and waiting opens get EIO;</item>
/// <item>what somebody waits for and is far back comes beside the stream;</item>
/// <item>when everything is in, the store is synced before the trees are called complete.</item>
/// </list>
/// </summary>
internal sealed class ImageReception
{
    /// <summary>Damaged bytes at one place are asked for again this often: line noise passes, a damaged source does not. Arbitrary.</summary>
    private const int MaxDamagedAttempts = 5;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly IncomingBundle _bundle;
    private readonly ObjectStore _objects;
    private readonly ArrivalBoard _board;
    private readonly Func<ImageReception, Result, Task<Result>> _finished;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<Result> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ContentSink _sink;
    private readonly QueueJumper _jumper;
    private volatile bool _building;
    private Task? _running; // under a lock on _stop until set
    private readonly Dictionary<ReceptionShare, HashSet<string>> _shares = []; // with the names claimed; guards itself
    private volatile bool _abandoned;
    private volatile bool _goesOn;

    /// <param name="bundle">Owned: disposed when the reception ends.</param>
    /// <param name="objects">Where contents go.</param>
    /// <param name="board">Whom to tell that they have.</param>
    /// <param name="trees">Trees that are complete when this reception is.</param>
    /// <param name="finished">Called once with the outcome; <see cref="Completion"/> ends with its answer.</param>
    /// <param name="time">Clock of the pauses.</param>
    /// <param name="logger">The library's.</param>
    public ImageReception(
        IncomingBundle bundle,
        ObjectStore objects,
        ArrivalBoard board,
        IReadOnlyList<WorkerTree> trees,
        Func<ImageReception, Result, Task<Result>> finished,
        TimeProvider time,
        ILogger logger)
    {
        _bundle = bundle;
        _objects = objects;
        _board = board;
        Trees = trees;
        _finished = finished;
        _time = time;
        _logger = logger;
        StreamPace pace = new(time);
        _sink = new ContentSink(objects, board, pace);
        _jumper = new QueueJumper(bundle, objects, board, pace, time, logger);
    }

    public IReadOnlyList<WorkerTree> Trees { get; }

    /// <summary>What it brings, in the order of arrival.</summary>
    public IReadOnlyList<ContentRef> Contents => _bundle.Contents;

    public Task<Result> Completion => _completion.Task;

    public ReceptionProgress Progress => new(_bundle.ReceivedBytes, _bundle.TotalBytes, _sink.Done, _bundle.Contents.Count, _building);

    /// <summary>Cancelled when the reception is to end.</summary>
    public CancellationToken Stopping => _stop.Token;

    /// <summary>Everything is here, and is being made into directory trees.</summary>
    public bool Building
    {
        set => _building = value;
    }

    /// <summary>Removes the trees that only this reception was to bring; set by the library.</summary>
    public required Func<ImageReception, Task> Abandoned { get; init; }

    public void Start()
    {
        lock (_stop)
        {
            _running ??= Task.Run(RunAsync);
        }
    }

    /// <summary>Somebody waits for a content. False if it does not come with this reception.</summary>
    public bool Want(Digest content) => _jumper.Want(content);

    /// <summary>Ends the reception and waits until it has ended; one that never started ends like one that was cut off at once.</summary>
    /// <param name="goesOn">The daemon stops and the next one takes the reception up. Otherwise whoever waits for its contents is told, unless another reception has promised them too.</param>
    public async Task StopAsync(bool goesOn = false)
    {
        _goesOn = goesOn;
        await _stop.CancelAsync();
        Start();
        await _running!;
    }

    /// <summary>Nobody may join any more: the last of its pulls has failed, or its image is being removed. Changes under the library's lock.</summary>
    public bool IsAbandoned => _abandoned;

    public void Abandon() => _abandoned = true;

    public void Join(ReceptionShare share)
    {
        lock (_shares)
        {
            _shares.Add(share, new HashSet<string>(StringComparer.Ordinal));
        }
    }

    /// <summary>See <see cref="IImageReception.Claim"/>.</summary>
    public bool Claim(ReceptionShare share, string name)
    {
        lock (_shares)
        {
            _shares[share].Add(name);
            return _shares.Any(other => other.Key != share && other.Value.Contains(name));
        }
    }

    /// <summary>One pull has failed. True if no other uses the reception, which then takes no more.</summary>
    public bool Leave(ReceptionShare share)
    {
        lock (_shares)
        {
            return _shares.Remove(share) && _shares.Count == 0 && (_abandoned = true);
        }
    }

    /// <summary>Stops receiving and removes what only this reception brought.</summary>
    public async Task AbandonAsync()
    {
        await StopAsync();
        await Abandoned(this);
    }

    private async Task RunAsync()
    {
        Result outcome;
        try
        {
            await ReceiveAsync(_stop.Token);
            await Task.Run(_objects.Sync, CancellationToken.None);
            outcome = Result.Success;
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            outcome = new Error("Pull.Stopped", "receiving was stopped", ErrorKind.Cancelled);
        }
        catch (FailureException e)
        {
            LibraryLog.ReceptionFailed(_logger, Name, e.Error.Message);
            outcome = e.Error;
        }
        catch (Exception e)
        {
            // A bug of ours must not leave opens waiting for ever: it ends the reception like any other failure, loudly.
            LibraryLog.ReceptionCrashed(_logger, e, Name);
            outcome = new Error("Pull.Crashed", $"receiving {Name} failed: {e.Message}", ErrorKind.Internal);
        }
        finally
        {
            await _jumper.DisposeAsync();
            await _bundle.DisposeAsync();
            _sink.Dispose();
        }

        if (!outcome.IsSuccess && !_goesOn)
        {
            FailMissing(outcome.Error);
        }

        _completion.SetResult(await FinishAsync(outcome));
    }

    /// <summary>Whoever waits for the end must see one, also when the records cannot be written or the tree cannot be built.</summary>
    private async Task<Result> FinishAsync(Result outcome)
    {
        try
        {
            return await _finished(this, outcome);
        }
        catch (FailureException e)
        {
            LibraryLog.ReceptionFailed(_logger, Name, e.Error.Message);
            return outcome.IsSuccess ? e.Error : outcome;
        }
        catch (Exception e)
        {
            LibraryLog.ReceptionCrashed(_logger, e, Name);
            return outcome.IsSuccess ? new Error("Pull.Crashed", $"receiving {Name} failed: {e.Message}", ErrorKind.Internal) : outcome;
        }
    }

    private string Name => string.Join(", ", _bundle.Request.Images);

    private async Task ReceiveAsync(CancellationToken cancellationToken)
    {
        int attempt = 0;
        int damaged = 0;
        bool connected = true;
        int doneBefore = -1;
        while (true)
        {
            try
            {
                if (!connected)
                {
                    if (!await _bundle.ReconnectAsync(cancellationToken))
                    {
                        _sink.DropUnfinished();
                    }

                    connected = true;
                }

                await _bundle.ReceiveAsync(_sink, cancellationToken);
                return;
            }
            catch (FailureException e) when (e.Error.Kind is ErrorKind.Unavailable or ErrorKind.DataCorrupt)
            {
                connected = false;
                if (_sink.Done != doneBefore)
                {
                    // progress was made since the last failure: this one is new
                    doneBefore = _sink.Done;
                    attempt = 0;
                    damaged = 0;
                }

                if (e.Error.Kind == ErrorKind.DataCorrupt && ++damaged >= MaxDamagedAttempts)
                {
                    throw;
                }

                TimeSpan pause = TimeSpan.FromTicks(Math.Min(LongestPause.Ticks, FirstPause.Ticks << Math.Min(attempt++, 20)));
                LibraryLog.ReceptionInterrupted(_logger, Name, e.Error.Message, (long)pause.TotalMilliseconds);
                await Task.Delay(pause, _time, cancellationToken);
            }
        }
    }

    private void FailMissing(Error error)
    {
        foreach (ContentRef content in _bundle.Contents)
        {
            if (!_objects.Contains(content.Digest))
            {
                _board.Fail(content.Digest, error);
            }
        }
    }
}
