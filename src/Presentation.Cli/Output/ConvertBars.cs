using Spectre.Console;
using Starlight.Application.Convert;
using Starlight.Domain.Content;

namespace Starlight.Presentation.Cli.Output;

/// <summary>One bar per layer on a terminal; elsewhere one line per finished layer. All on standard error: standard output is for the result.</summary>
internal sealed class ConvertBars : IConvertProgress, IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<Digest, ProgressTask> _bars = [];
    private readonly HashSet<Digest> _finished = [];
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _drawing = Task.CompletedTask;
    private readonly bool _quiet;
    private ProgressContext? _context;

    public ConvertBars(bool quiet)
    {
        _quiet = quiet;
        if (!quiet && !Console.IsErrorRedirected)
        {
            IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
            _drawing = console.Progress()
                .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new TransferSpeedColumn(), new SpinnerColumn())
                .StartAsync(async context =>
                {
                    lock (_lock)
                    {
                        _context = context;
                    }

                    await _end.Task;
                });
        }
    }

    public void Report(LayerProgress progress)
    {
        lock (_lock)
        {
            bool finished = progress.Stage is ConvertStage.Reused or ConvertStage.Done;
            if (_context is not null)
            {
                if (!_bars.TryGetValue(progress.Layer, out ProgressTask? bar))
                {
                    _bars.Add(progress.Layer, bar = _context.AddTask(Name(progress.Layer)));
                }

                bar.Description = $"{Name(progress.Layer)} {Word(progress.Stage)}";
                bar.MaxValue = Math.Max(1, progress.BytesTotal);
                bar.Value = finished ? bar.MaxValue : progress.BytesDone;
            }
            else if (!_quiet && finished && _finished.Add(progress.Layer))
            {
                Console.Error.WriteLine($"layer {Name(progress.Layer)} {Word(progress.Stage)}");
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        _end.SetResult();
        await _drawing;
    }

    private static string Name(Digest layer) => layer.Hex[..12];

    private static string Word(ConvertStage stage) => stage switch
    {
        ConvertStage.Converting => "converting",
        ConvertStage.Pushing => "pushing",
        ConvertStage.Reused => "reused",
        ConvertStage.Done => "done",
        _ => "",
    };
}
