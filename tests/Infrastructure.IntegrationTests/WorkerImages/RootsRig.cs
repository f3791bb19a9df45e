using Microsoft.Extensions.Logging.Abstractions;
using Starlight.Application.Abstractions.Images;
using Starlight.Domain.Content;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Fuse;
using Starlight.Infrastructure.Mounts;
using Starlight.Infrastructure.Objects;
using Starlight.Infrastructure.WorkerImages;
using Starlight.TestKit;
using static Starlight.TestKit.LayerEntries;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

/// <summary>One tree on a worker whose contents are not here yet, and a gate.</summary>
internal sealed class RootsRig : IDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private ArrivalGate? _gate;

    public RootsRig()
    {
        Requirements.Root();
        Objects = new ObjectStore(_scratch["objects"]);
        Board = new ArrivalBoard(Objects);
        byte[] image = ErofsWriter.Build(Files).ToArray();
        Tree = new WorkerTree(new TreeRecord([Digest.Of("chain"u8)], Digest.Of(image), Complete: false, 0), _scratch.Create("images/tree"));
        System.IO.File.WriteAllBytes(Tree.FilesystemImagePath, image);
        Board.Expect(Contents);
    }

    public ObjectStore Objects { get; }

    public ArrivalBoard Board { get; }

    public WorkerTree Tree { get; }

    public FileTree Files { get; } = TreeMerger.Merge([[Dir("etc"), File("etc/name", "starlight"), LayerEntries.File("other", "another content")]]).Value;

    public IEnumerable<Digest> Contents => Files.Walk().Where(f => f.Inode.Size > 0).Select(f => f.Inode.Content);

    public ArrivalGate Gate => _gate ??= ArrivalGate.Mount(Board, _scratch["gate"], NullLogger<ArrivalGate>.Instance);

    public string this[string name] => _scratch.Create(name);

    public OverlayRoots Overlays(MountMode mode, ErofsBacking erofs = ErofsBacking.File, bool earlyStart = true, bool seesOpens = false) =>
        new(new MountCapabilities(mode, erofs, earlyStart, []) { SeesOpens = seesOpens }, Objects, earlyStart ? Gate : null, NullLogger<ImageLibrary>.Instance);

    /// <param name="filesystems">Null for the real one.</param>
    public UnpackedRoots Unpacked(IFilesystemImages? filesystems = null) => new(Objects, filesystems ?? new ErofsFilesystemImages(), TimeProvider.System, NullLogger<ImageLibrary>.Instance);

    public void Deliver()
    {
        foreach (Digest content in Contents)
        {
            Objects.Put(content, ContentOf(content));
            Board.Arrived(content);
        }
    }

    public void Complete()
    {
        Deliver();
        Tree.Complete = true;
    }

    /// <summary>What is mounted for trees, without the gate.</summary>
    public IReadOnlyList<MountTableEntry> Mounts() => [.. MountTable.Read().Where(m => m.MountPoint.StartsWith(_scratch["images"] + "/", StringComparison.Ordinal))];

    public void Dispose()
    {
        _gate?.Dispose();
        MountTable.DetachBelow(_scratch.Path);
        Objects.Dispose();
        _scratch.Dispose();
    }
}
