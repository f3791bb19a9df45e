using Starlight.Application.Abstractions.Worker;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.WorkerImages;

/// <summary>One pull's part in a reception: several pulls of one image share it, and it is given up when all of them have failed.</summary>
internal sealed class ReceptionShare : IImageReception
{
    private readonly ImageReception _reception;
    private readonly Lock _joining;
    private Action? _unpin;

    /// <param name="reception">The common one.</param>
    /// <param name="joining">Held by the caller, as by all who look for a reception to join.</param>
    /// <param name="unpin">Lets the images be freed again.</param>
    public ReceptionShare(ImageReception reception, Lock joining, Action unpin)
    {
        _reception = reception;
        _joining = joining;
        _unpin = unpin;
        reception.Join(this);
    }

    public ReceptionProgress Progress => _reception.Progress;

    public Task<Result> Completion => _reception.Completion;

    public void Start() => _reception.Start();

    public void Settle() => Interlocked.Exchange(ref _unpin, null)?.Invoke();

    public bool Claim(string name) => _reception.Claim(this, name);

    public async Task AbandonAsync()
    {
        // In this order: who comes from here on sees a reception that is given up, or has pinned the images for itself.
        bool last;
        lock (_joining)
        {
            last = _reception.Leave(this);
        }

        Settle();
        if (last)
        {
            await _reception.AbandonAsync();
        }
    }
}
