using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Objects;

namespace Starlight.Infrastructure.Fuse;

/// <summary>A LOOKUP that is not answered yet: some thread in a container waits in open(2) or exec(2) for one content.</summary>
internal sealed class ParkedLookup(GateProtocol protocol, ulong unique, int pid, GateDirectory directory, long parkedAt) : ArrivalWaiter
{
    public ulong Unique { get; } = unique;

    /// <summary>The waiting thread's id, for looking at its pending signals.</summary>
    public int Pid { get; } = pid;

    public GateDirectory Directory { get; } = directory;

    public long ParkedAt { get; } = parkedAt;

    protected internal override void OnReleased(Error? failure, TimeSpan waited) => protocol.Released(this, failure, waited);
}
