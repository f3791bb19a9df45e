using Starlight.Domain.Trees;

namespace Starlight.Infrastructure.Images.EStargz;

/// <summary>The TOC's words for kinds of entries.</summary>
internal static class EStargzTypes
{
    public const string Chunk = "chunk";

    public static string Name(FileKind kind) => kind switch
    {
        FileKind.Regular => "reg",
        FileKind.Directory => "dir",
        FileKind.Symlink => "symlink",
        FileKind.HardLink => "hardlink",
        FileKind.CharacterDevice => "char",
        FileKind.BlockDevice => "block",
        FileKind.Fifo => "fifo",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "no eStargz type"),
    };

    public static FileKind? Kind(string? name) => name switch
    {
        "reg" => FileKind.Regular,
        "dir" => FileKind.Directory,
        "symlink" => FileKind.Symlink,
        "hardlink" => FileKind.HardLink,
        "char" => FileKind.CharacterDevice,
        "block" => FileKind.BlockDevice,
        "fifo" => FileKind.Fifo,
        _ => null,
    };
}
