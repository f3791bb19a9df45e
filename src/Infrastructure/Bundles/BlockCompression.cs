using System.Buffers;
using System.Collections.Concurrent;
using System.Threading.Channels;
using Starlight.Domain.Bundles;
using Starlight.Infrastructure.Bundles.Patches;
using Starlight.Infrastructure.Compression;

namespace Starlight.Infrastructure.Bundles;

/// <summary>A block record ready to be written.</summary>
internal sealed class CompressedBlock(byte[] rented, int length) : IDisposable
{
    /// <summary>Header and stored bytes; valid until Dispose returns the buffer.</summary>
    public ReadOnlyMemory<byte> Record { get; } = rented.AsMemory(0, length);

    public void Dispose() => ArrayPool<byte>.Shared.Return(rented);
}

/// <summary>
/// Reads contents and compresses blocks ahead of the writer. One task reads in stream order; every block is compressed by a task of its own, as many at once as there are
/// cores; the channel holds those tasks in stream order, so the result does not depend on which one is done first.
/// </summary>
/// <remarks>
/// Memory: <see cref="LookAhead"/> blocks in the channel, one being read and one being written, each with a raw buffer of 1 MiB before compression and a record after it
/// that takes up to 2 MiB of the pool if the block is incompressible: at most 13 MiB, a scratch buffer of 1 MiB for each core and the compression contexts. Where contents are
/// patched, old bytes and their indexes: for a large content two or three windows of 16 MiB, seven if every block needs another one. What all bundles together may take is <see cref="BuildMemory"/>'s business.
/// </remarks>
internal sealed class BlockCompression : IAsyncDisposable
{
    /// <summary>Twice the cores of a small machine, so that a slow block does not leave the others idle.</summary>
    private const int LookAhead = 4;

    /// <summary>
    /// zstd level of patches, which are short: measured on updates of libcrypto, libc and postgres, level 19 makes them 8 to 13 % smaller than level 9 and takes no longer than finding what
    /// differs. A patch that is mostly literals gets the level of other blocks.
    /// </summary>
    private const int PatchLevel = 19;

    /// <summary>A payload is short if it has at most this part of the block.</summary>
    private const int SmallPayload = 4;

    private readonly Channel<Task<CompressedBlock>> _blocks = Channel.CreateBounded<Task<CompressedBlock>>(
        new BoundedChannelOptions(LookAhead) { SingleReader = true, SingleWriter = true });

    private readonly CancellationTokenSource _stop;
    private readonly SemaphoreSlim _cores = new(Math.Clamp(Environment.ProcessorCount, 1, LookAhead));
    private readonly ConcurrentBag<Core> _idle = [];
    private readonly int _level;
    private readonly string _scratch;
    private Task _reading = Task.CompletedTask;

    private BlockCompression(int level, string scratch, CancellationToken cancellationToken)
    {
        _level = level;
        _scratch = scratch;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
    }

    /// <param name="plan">What to send.</param>
    /// <param name="open">Where contents come from.</param>
    /// <param name="level">zstd level; 0 stores.</param>
    /// <param name="scratch">Directory for old contents that are too large for memory.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public static BlockCompression Start(DeltaPlan plan, OpenContent open, int level, string scratch, CancellationToken cancellationToken)
    {
        BlockCompression blocks = new(level, scratch, cancellationToken);
        blocks._reading = Task.Run(() => blocks.ReadAsync(plan, open, blocks._stop.Token), CancellationToken.None);
        return blocks;
    }

    /// <summary>All blocks in order; the caller disposes each. Throws what reading or compressing threw, at the block where it happened.</summary>
    public async IAsyncEnumerable<CompressedBlock> ReadAllAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (Task<CompressedBlock> block in _blocks.Reader.ReadAllAsync(cancellationToken))
        {
            yield return await block;
        }
    }

    /// <summary>Waits for everything that still runs and returns its buffers.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading;
        while (_blocks.Reader.TryRead(out Task<CompressedBlock>? left))
        {
            await left.ContinueWith(
                static t =>
                {
                    // An exception that nobody waits for any more is observed here.
                    _ = t.Exception;
                    if (t.IsCompletedSuccessfully)
                    {
                        t.Result.Dispose();
                    }
                },
                CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
        }

        foreach (Core core in _idle)
        {
            core.Dispose();
        }

        _cores.Dispose();
        _stop.Dispose();
    }

    /// <summary>Ends the channel, with the exception if there was one: that is how the writer learns of it.</summary>
    private async Task ReadAsync(DeltaPlan plan, OpenContent open, CancellationToken cancellationToken)
    {
        Exception? failure = null;
        try
        {
            await using ContentFeed contents = new(plan, open);
            using BaseFeed bases = new(plan, open, _scratch);
            foreach (int length in plan.BlockLengths)
            {
                byte[] raw = ArrayPool<byte>.Shared.Rent(length);
                IReadOnlyList<FreshPart>? parts = null;
                try
                {
                    await contents.ReadAsync(raw.AsMemory(0, length), cancellationToken);
                    parts = _level == 0 ? null : await bases.NextAsync(raw.AsMemory(0, length), cancellationToken);
                    await _blocks.Writer.WaitToWriteAsync(cancellationToken);
                }
                catch
                {
                    ArrayPool<byte>.Shared.Return(raw);
                    Release(parts);
                    throw;
                }

                // There is room and nobody else writes, so the task that owns the buffer now is always handed on.
                _blocks.Writer.TryWrite(CompressAsync(raw, length, parts));
            }
        }
#pragma warning disable CA1031 // everything goes to the one who reads the channel
        catch (Exception e)
#pragma warning restore CA1031
        {
            failure = e;
        }

        _blocks.Writer.Complete(failure);
    }

    /// <param name="raw">Rented; returned here.</param>
    /// <param name="length">Bytes of it that are the block.</param>
    /// <param name="parts">What the block is compared with; null if nothing.</param>
    private async Task<CompressedBlock> CompressAsync(byte[] raw, int length, IReadOnlyList<FreshPart>? parts)
    {
        await _cores.WaitAsync(CancellationToken.None);
        try
        {
            return await Task.Run(() => Compress(raw.AsSpan(0, length), parts));
        }
        finally
        {
            _cores.Release();
            ArrayPool<byte>.Shared.Return(raw);
            Release(parts);
        }
    }

    private static void Release(IReadOnlyList<FreshPart>? parts)
    {
        foreach (FreshPart part in parts ?? [])
        {
            part.Window?.Release();
        }
    }

    /// <summary>The smallest of what the block can be sent as; a patch only if it is smaller than the content itself.</summary>
    private CompressedBlock Compress(ReadOnlySpan<byte> raw, IReadOnlyList<FreshPart>? parts)
    {
        if (_level == 0)
        {
            return Record(BlockKind.Raw, raw);
        }

        Core core = _idle.TryTake(out Core? idle) ? idle : new Core(_level);

        byte[]? payload = parts is null ? null : PatchPayload.Encode(raw, parts);
        CompressedBlock? patch = payload is null ? null : Patch(core, payload, raw.Length);

        // One byte less than what there is already: a frame that would not make the block smaller does not fit, and zstd gives up early.
        int limit = (patch is null ? raw.Length : patch.Record.Length - BlockRecord.HeaderLength) - 1;
        CompressedBlock block;
        if (core.Compressor.TryCompress(raw, core.Scratch.AsSpan(0, limit), out int length))
        {
            patch?.Dispose();
            block = Record(BlockKind.Zstd, core.Scratch.AsSpan(0, length));
        }
        else
        {
            block = patch ?? Record(BlockKind.Raw, raw);
        }

        _idle.Add(core);
        return block;
    }

    /// <summary>Null if it would not be shorter than the block.</summary>
    private static CompressedBlock? Patch(Core core, byte[] payload, int rawLength)
    {
        ZstdCompressor compressor = payload.Length <= rawLength / SmallPayload ? core.PatchCompressor : core.Compressor;
        return compressor.TryCompress(payload, core.Scratch.AsSpan(0, rawLength - 1), out int length) ? Record(BlockKind.Patch, core.Scratch.AsSpan(0, length)) : null;
    }

    private static CompressedBlock Record(BlockKind kind, ReadOnlySpan<byte> stored)
    {
        int length = BlockRecord.HeaderLength + stored.Length;
        byte[] record = ArrayPool<byte>.Shared.Rent(length);
        stored.CopyTo(record.AsSpan(BlockRecord.HeaderLength));
        BlockRecord.Write(record, kind, record.AsSpan(BlockRecord.HeaderLength, stored.Length));
        return new CompressedBlock(record, length);
    }

    /// <summary>What one core needs to compress a block.</summary>
    private sealed class Core(int level) : IDisposable
    {
        private ZstdCompressor? _patchCompressor;

        public ZstdCompressor Compressor { get; } = new(level, checksum: false);

        public ZstdCompressor PatchCompressor => _patchCompressor ??= new ZstdCompressor(PatchLevel, checksum: false);

        /// <summary>Rented; returned by Dispose.</summary>
        public byte[] Scratch { get; } = ArrayPool<byte>.Shared.Rent(BundleFormat.MaxBlockLength);

        public void Dispose()
        {
            Compressor.Dispose();
            _patchCompressor?.Dispose();
            ArrayPool<byte>.Shared.Return(Scratch);
        }
    }
}
