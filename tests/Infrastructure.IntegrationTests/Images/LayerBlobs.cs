using System.IO.Compression;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Images.Layers;

namespace Starlight.Infrastructure.IntegrationTests.Images;

/// <summary>Shared by the tests of layer formats.</summary>
internal static class LayerBlobs
{
    public static byte[] Gzip(byte[] content, CompressionLevel level = CompressionLevel.Optimal)
    {
        MemoryStream compressed = new();
        using (GZipStream gzip = new(compressed, level))
        {
            gzip.Write(content);
        }

        return compressed.ToArray();
    }

    public static Task<LayerScan> ScanAsync(byte[] blob, IContentSink? sink = null) =>
        new LayerScanner().ScanAsync(new DribblingStream(blob), MediaTypes.OciLayerGzip, sink, CancellationToken.None);

    public static async Task<LayerEntry> ScanOneAsync(byte[] blob) => (await ScanAsync(blob)).Entries.ShouldHaveSingleItem();

    /// <summary>One line per entry with everything in it, for comparing lists.</summary>
    public static string Text(IEnumerable<LayerEntry> entries) => string.Join('\n', entries.Select(Text));

    public static string Text(LayerEntry e) =>
        $"{e.Kind} '{e.Path.Raw}' {Convert.ToString(e.Mode, 8)} {e.Uid}:{e.Gid} {e.MtimeSeconds}.{e.MtimeNanoseconds:d9} {e.Size} {(e.Content.IsDefault ? "-" : e.Content.Hex[..12])} -> '{e.LinkTarget.Raw}' "
        + $"{e.DeviceMajor},{e.DeviceMinor} {string.Join(' ', e.Xattrs.Select(x => $"{x.Name.Raw}={Convert.ToHexString(x.Value.Span)}"))}";
}

/// <summary>Hands out bytes in small uneven pieces, as networks do.</summary>
internal sealed class DribblingStream(byte[] content) : MemoryStream(content, writable: false)
{
    private int _turn;

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        base.ReadAsync(buffer[..Math.Min(buffer.Length, 1 + (++_turn * 7919 % 5000))], cancellationToken);
}

/// <summary>Keeps contents and checks the calling order.</summary>
internal sealed class CollectingSink : IContentSink
{
    private MemoryStream? _current;
    private long _size;

    public Dictionary<Digest, byte[]> Contents { get; } = [];

    public List<Digest> Order { get; } = [];

    public ValueTask BeginAsync(long size, CancellationToken cancellationToken)
    {
        _current.ShouldBeNull();
        size.ShouldBeGreaterThan(0);
        (_current, _size) = (new MemoryStream(), size);
        return ValueTask.CompletedTask;
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        _current.ShouldNotBeNull().Write(bytes.Span);
        return ValueTask.CompletedTask;
    }

    public ValueTask CompleteAsync(Digest digest, CancellationToken cancellationToken)
    {
        byte[] content = _current.ShouldNotBeNull().ToArray();
        content.Length.ShouldBe((int)_size);
        Digest.Of(content).ShouldBe(digest);
        Contents[digest] = content;
        Order.Add(digest);
        _current = null;
        return ValueTask.CompletedTask;
    }
}
