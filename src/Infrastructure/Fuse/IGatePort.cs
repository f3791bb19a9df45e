namespace Starlight.Infrastructure.Fuse;

/// <summary>What the protocol needs of the world: the device in the daemon, a list of bytes in tests. Callable from any thread; never blocks on the protocol.</summary>
internal interface IGatePort
{
    /// <summary>Sends the answer to a request that was parked earlier.</summary>
    void Reply(ReadOnlySpan<byte> reply);

    /// <summary>
    /// Has the kernel forget the cached entry of a fan-out directory, soon and on another thread: the kernel locks the parent directory for it, and that lock
    /// is held by lookups which wait for the very threads that read requests.
    /// </summary>
    void InvalidateFanout(ulong parent, byte fanout);

    /// <summary>Some waiter has a signal: have <see cref="GateProtocol.SweepInterrupted"/> called, soon and repeatedly while it asks for it.</summary>
    void WatchInterrupts();
}
