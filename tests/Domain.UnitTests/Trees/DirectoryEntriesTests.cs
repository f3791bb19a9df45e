using Starlight.Domain.Trees;

namespace Starlight.Domain.UnitTests.Trees;

public sealed class DirectoryEntriesTests
{
    private static readonly Inode File = new() { Kind = FileKind.Regular, Mode = 0 };

    [Fact]
    public void Create_WhenNamesAreInAnyOrder_SortsThemByBytes()
    {
        DirectoryEntries entries = Of("b", "\u00ff", "a", "B", "a.b");

        entries.Select(static entry => entry.Key.Raw).ShouldBe(["B", "a", "a.b", "b", "\u00ff"]);
        entries.Count.ShouldBe(5);
    }

    [Fact]
    public void Create_WhenANameOccursTwice_Throws() => Should.Throw<ArgumentException>(() => Of("a", "b", "a"));

    [Fact]
    public void TryGetValue_WhenNameIsThere_GivesItsInode()
    {
        DirectoryEntries entries = Of("a", "b", "c");

        entries.TryGetValue(PosixPath.FromRaw("b"), out Inode? inode).ShouldBeTrue();
        inode.ShouldBeSameAs(File);
        entries.TryGetValue(PosixPath.FromRaw("bb"), out _).ShouldBeFalse();
    }

    private static DirectoryEntries Of(params string[] names) => DirectoryEntries.Create(names.Select(static name => KeyValuePair.Create(PosixPath.FromRaw(name), File)));
}
