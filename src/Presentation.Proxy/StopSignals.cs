using System.Runtime.InteropServices;

namespace Starlight.Presentation.Proxy;

/// <summary>The first SIGTERM or SIGINT asks to stop and lets running answers finish; the second ends them.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly Action _first;
    private readonly CancellationTokenSource _second = new();
    private readonly PosixSignalRegistration[] _registrations;
    private int _count;

    public StopSignals(Action first)
    {
        _first = first;
        _registrations = [PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle), PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle)];
    }

    /// <summary>Cancelled by the second signal.</summary>
    public CancellationToken Second => _second.Token;

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
        {
            registration.Dispose();
        }

        _second.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _count) == 1)
        {
            _first();
        }
        else
        {
            _second.Cancel();
        }
    }
}
