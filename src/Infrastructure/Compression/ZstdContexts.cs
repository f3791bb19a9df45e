using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Starlight.Infrastructure.Compression.Native;

namespace Starlight.Infrastructure.Compression;

/// <summary>Owns a ZSTD_CCtx. Used by one thread at a time.</summary>
internal sealed class CompressionContext : SafeHandle
{
    private static readonly ContextPool<CompressionContext> Pool = new();

    private CompressionContext(nint context)
        : base(0, ownsHandle: true) => SetHandle(context);

    public override bool IsInvalid => handle == 0;

    /// <summary>A context with default parameters: a used one if there is one, since building its tables anew costs more than a small frame.</summary>
    public static CompressionContext Rent()
    {
        ZstdLibrary.EnsureAvailable();
        return Pool.TryTake() ?? new CompressionContext(NotNull(NativeZstd.CreateCCtx()));
    }

    /// <summary>The caller does not touch the context again.</summary>
    public void Return()
    {
        if (!ZstdErrors.IsError(NativeZstd.ResetCCtx(this, NativeZstd.ResetSessionAndParameters)))
        {
            Pool.Put(this, (long)NativeZstd.SizeOfCCtx(this));
            return;
        }

        Dispose();
    }

    internal static nint NotNull(nint context) => context != 0 ? context : throw ZstdErrors.OutOfMemory();

    protected override bool ReleaseHandle() => NativeZstd.FreeCCtx(handle) == 0;
}

/// <summary>Owns a ZSTD_DCtx. Used by one thread at a time.</summary>
internal sealed class DecompressionContext : SafeHandle
{
    private static readonly ContextPool<DecompressionContext> Pool = new();

    private DecompressionContext(nint context)
        : base(0, ownsHandle: true) => SetHandle(context);

    public override bool IsInvalid => handle == 0;

    public static DecompressionContext Rent()
    {
        ZstdLibrary.EnsureAvailable();
        return Pool.TryTake() ?? new DecompressionContext(CompressionContext.NotNull(NativeZstd.CreateDCtx()));
    }

    /// <summary>The caller does not touch the context again.</summary>
    public void Return()
    {
        if (!ZstdErrors.IsError(NativeZstd.ResetDCtx(this, NativeZstd.ResetSessionAndParameters)))
        {
            Pool.Put(this, (long)NativeZstd.SizeOfDCtx(this));
            return;
        }

        Dispose();
    }

    protected override bool ReleaseHandle() => NativeZstd.FreeDCtx(handle) == 0;
}

/// <summary>Idle contexts. A reset context keeps its tables and window, so what is kept is bounded in number and size.</summary>
internal sealed class ContextPool<TContext>
    where TContext : SafeHandle
{
    /// <summary>Far above what a context for 1 MiB blocks takes at any level; one with a patch window can take hundreds of MB and is not worth keeping.</summary>
    private const long LargestKept = 32 << 20;

    private readonly ConcurrentBag<TContext> _idle = [];
    private int _count;

    /// <summary>One per core: more cannot be at work.</summary>
    private static int MostKept => Environment.ProcessorCount;

    public TContext? TryTake()
    {
        if (!_idle.TryTake(out TContext? context))
        {
            return null;
        }

        Interlocked.Decrement(ref _count);
        return context;
    }

    public void Put(TContext context, long size)
    {
        if (size > LargestKept)
        {
            context.Dispose();
            return;
        }

        if (Interlocked.Increment(ref _count) > MostKept)
        {
            Interlocked.Decrement(ref _count);
            context.Dispose();
            return;
        }

        _idle.Add(context);
    }
}
