using Starlight.Application.Delta;
using Starlight.Infrastructure.Bundles;
using Starlight.Infrastructure.Contents;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>Joins the two data-plane parts that make a planned bundle's bytes: the content store and the bundle writer.</summary>
internal sealed class BundleSource(ContentStore contents)
{
    public Task WriteAsync(Stream output, DeltaBundle delta, CancellationToken cancellationToken) =>
        BundleWriter.WriteAsync(output, delta.Units, delta.Plan, (content, _) => ValueTask.FromResult(contents.OpenRead(content)), BundleWriter.DefaultLevel, contents.ScratchDirectory, cancellationToken);
}
