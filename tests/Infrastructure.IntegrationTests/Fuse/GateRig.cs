using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Fuse;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Fuse;

/// <summary>A worker in small: object store, board, mounted gate, and containers mounted from images. Unmounts everything when disposed.</summary>
internal sealed class GateRig : IDisposable
{
    private readonly ScratchDirectory _directory = new();
    private readonly Stack<string> _mounts = new();
    private ArrivalGate? _gate;
    private int _containers;

    public GateRig()
    {
        Store = new ObjectStore(_directory["objects"]);
        Board = new ArrivalBoard(Store);
        Image = new MetadataImage(_directory.Path);
    }

    public ObjectStore Store { get; }

    public ArrivalBoard Board { get; }

    public MetadataImage Image { get; }

    public string GatePath => _directory["gate"];

    public ArrivalGate Gate => _gate ??= ArrivalGate.Mount(Board, GatePath, NullLogger<ArrivalGate>.Instance);

    public string Sub(string name) => _directory.Create(name);

    /// <summary>Expects all contents of the image and mounts a writable container of it, with a gate.</summary>
    public async Task<GatedContainer> MountAsync(Action<GateLookup>? onLookup = null)
    {
        GateDirectory directory = Gate.CreateDirectory($"c{_containers + 1}", onLookup);
        directory.Fill();
        return await MountAsync(directory.Path, Gate.TailPath, directory);
    }

    public async Task<GatedContainer> MountAsync(string? gatePath, string? tailPath, GateDirectory? directory = null)
    {
        int number = ++_containers;
        string erofs = Sub($"erofs{number}");
        ErofsMounts.Mount(await Image.BuildAsync($"image{number}.erofs"), erofs, ErofsBacking.File);
        _mounts.Push(erofs);
        string root = Sub($"root{number}");
        string upper = Sub($"upper{number}");
        MountRecord record = new OverlayLayers(erofs, Store.Root, gatePath, tailPath)
            .Writable(MountMode.SingleOverlay, upper, Sub($"work{number}"));
        MountSyscalls.Mount(record.Source, root, record.Type, 0, record.OptionText);
        _mounts.Push(root);
        return new GatedContainer(root, upper, directory);
    }

    public void ExpectAll() => Board.Expect(Image.Contents.Keys);

    public void Deliver(Digest content)
    {
        Store.Put(content, Image.Contents[content]);
        Board.Arrived(content);
    }

    public Task WaitingAsync(int count) => Probe.UntilAsync(() => Gate.WaitingCount == count, $"{count} opens waiting (now {Gate.WaitingCount})");

    public void Dispose()
    {
        _gate?.Dispose(); // first: whoever still waits is released, so that nothing keeps the mounts busy
        while (_mounts.TryPop(out string? mount))
        {
            MountSyscalls.Detach(mount);
        }

        Store.Dispose();
        _directory.Dispose();
    }
}

/// <summary>A mounted container's root, its upper layer and its gate directory.</summary>
internal sealed record GatedContainer(string Root, string Upper, GateDirectory? Gate)
{
    public string this[string path] => Path.Combine(Root, path);
}
