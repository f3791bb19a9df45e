using Starlight.Application.Delta;
using Starlight.Application.Refill;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Contents;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>
/// Joins the data-plane parts that make a planned bundle's bytes: the content store, the supply of what the store has given up, and the bundle writer. The header does not wait for
/// contents; a block waits for those that are in it. Single contents come the same way.
/// </summary>
internal sealed class BundleSource(ContentStore contents, ContentSupply supply)
{
    /// <summary>A content that arrived can be found damaged or removed by hand when it is opened; not every time.</summary>
    private const int Attempts = 3;

    private readonly BuildMemory _memory = new();

    public Task WriteAsync(Stream output, DeltaBundle delta, CancellationToken cancellationToken) => WriteAsync(output, delta, static _ => ValueTask.CompletedTask, _memory, cancellationToken);

    /// <summary>The same for nobody in particular: one at a time, and behind the others. It does not take from their memory, because it would keep it while it waits for its turns.</summary>
    /// <param name="output">Gets the bundle.</param>
    /// <param name="delta">The bundle.</param>
    /// <param name="turn">Awaited before each content.</param>
    /// <param name="cancellationToken">Stops writing.</param>
    public Task WriteAheadAsync(Stream output, DeltaBundle delta, Func<CancellationToken, ValueTask> turn, CancellationToken cancellationToken) =>
        WriteAsync(output, delta, turn, memory: null, cancellationToken);

    private async Task WriteAsync(Stream output, DeltaBundle delta, Func<CancellationToken, ValueTask> turn, BuildMemory? memory, CancellationToken cancellationToken)
    {
        await using ContentReservation reservation = supply.Reserve(delta.Manifests, delta.Reads);
        await BundleWriter.WriteAsync(
            output,
            delta.Units,
            delta.Plan,
            async (content, token) =>
            {
                await turn(token);
                return await OpenAsync(reservation, content, token);
            },
            BundleWriter.DefaultLevel,
            contents.ScratchDirectory,
            memory,
            cancellationToken);
    }

    /// <summary>Hands out one content, read from its registry if need be.</summary>
    /// <param name="content">Which.</param>
    /// <param name="stored">As the store has it, one zstd frame, instead of raw.</param>
    /// <param name="send">Gets the bytes and their number.</param>
    /// <param name="cancellationToken">Stops waiting for it.</param>
    public async Task ReadAsync(ImageContent content, bool stored, Func<Stream, long, Task> send, CancellationToken cancellationToken)
    {
        await using ContentReservation reservation = supply.Reserve([content.Manifest], [content.Content]);
        await using Stream stream = await OpenAsync(reservation, content.Content, cancellationToken, stored);
        await send(stream, stored ? stream.Length : content.Content.Size);
    }

    private async ValueTask<Stream> OpenAsync(ContentReservation reservation, ContentRef content, CancellationToken cancellationToken, bool stored = false)
    {
        for (int attempt = 1; ; attempt++)
        {
            await reservation.WaitAsync(content, cancellationToken);
            try
            {
                return stored ? contents.OpenStored(content) : contents.OpenRead(content);
            }
            catch (FailureException e) when (attempt < Attempts && e.Error.Code is "Contents.Missing" or "Contents.Corrupt")
            {
                // The store has forgotten it: the next wait reads it again.
            }
        }
    }
}
