using System.Diagnostics.CodeAnalysis;

namespace Starlight.Domain.Trees;

/// <summary>What one name of one unpacked layer is: a directory, another inode, or (neither) a whiteout, which hides the name in lower layers.</summary>
internal readonly struct LayerNode
{
    private readonly object? _value;

    public LayerNode(Inode inode) => _value = inode;

    public LayerNode(LayerDirectory directory) => _value = directory;

    public static LayerNode Whiteout => default;

    public Inode? Inode => _value as Inode;

    public LayerDirectory? Directory => _value as LayerDirectory;

    public bool IsWhiteout => _value is null;
}

/// <summary>A directory of one unpacked layer, as it lies in the layer's overlayfs directory.</summary>
internal sealed class LayerDirectory(Inode attributes)
{
    /// <summary>Mode, owner, mtime and xattrs; its <see cref="Inode.Children"/> mean nothing.</summary>
    public Inode Attributes { get; set; } = attributes;

    /// <summary>Nothing of lower layers shows through (<c>trusted.overlay.opaque</c>).</summary>
    public bool IsOpaque { get; set; }

    /// <summary>Made as the parent of another entry, without an entry of its own so far.</summary>
    public bool IsImplied { get; set; }

    public NameTable<LayerNode> Nodes { get; } = new();

    public bool TryGet(ReadOnlySpan<char> name, out LayerNode node) => Nodes.TryGet(name, out node);

    public void Set(ReadOnlySpan<char> name, LayerNode node) => Nodes.GetOrAdd(name, out _) = node;

    /// <summary>Gives back what was reserved for more names, here and below.</summary>
    public void Trim()
    {
        Nodes.Trim();
        for (int entry = 0; entry < Nodes.Count; entry++)
        {
            Nodes.Value(entry).Directory?.Trim();
        }
    }

    /// <summary>The directory at a clean path, no symlinks on the way.</summary>
    public bool TryGetDirectory(ReadOnlySpan<char> path, [NotNullWhen(true)] out LayerDirectory? directory)
    {
        directory = this;
        while (!path.IsEmpty)
        {
            int slash = path.IndexOf('/');
            ReadOnlySpan<char> name = slash < 0 ? path : path[..slash];
            path = slash < 0 ? [] : path[(slash + 1)..];
            if (!directory.TryGet(name, out LayerNode node) || node.Directory is null)
            {
                directory = null;
                return false;
            }

            directory = node.Directory;
        }

        return true;
    }
}
