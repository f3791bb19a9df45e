using Shouldly;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Bundles;

namespace Starlight.TestKit;

/// <summary>Takes a bundle's contents and keeps each only as long as it takes to see that it is what its digest says.</summary>
public sealed class CheckingSink : IBundleContentSink, IDisposable
{
    private readonly MemoryStream _bytes = new();
    private ContentRef _current;

    /// <summary>In the order of arrival.</summary>
    public List<Digest> Arrived { get; } = [];

    public ValueTask PutAsync(ContentRef content, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => Take(content, bytes.Span);

    public ValueTask BeginAsync(ContentRef content, CancellationToken cancellationToken)
    {
        _current = content;
        _bytes.SetLength(0);
        return ValueTask.CompletedTask;
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        _bytes.Write(bytes.Span);
        return ValueTask.CompletedTask;
    }

    public ValueTask CompleteAsync(CancellationToken cancellationToken) => Take(_current, _bytes.ToArray());

    public void Dispose() => _bytes.Dispose();

    private ValueTask Take(ContentRef content, ReadOnlySpan<byte> bytes)
    {
        Digest.Of(bytes).ShouldBe(content.Digest);
        Arrived.Add(content.Digest);
        return ValueTask.CompletedTask;
    }
}
