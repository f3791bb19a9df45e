using Starlight.Architecture.Tests.Laws;
using Starlight.Architecture.Tests.Rules;

namespace Starlight.Architecture.Tests;

public sealed class SourceTests
{
    private const int LongestProgram = 40;
    private const int LongestFile = 400;

    /// <summary>Folders that sort the files of one namespace.</summary>
    private static readonly string[] Sorting = ["src/Infrastructure/Grpc/Client", "src/Infrastructure/Grpc/Server"];

    [Fact]
    public void Programs_OnlyStartSomething()
    {
        string[] programs = [.. SourceTree.Files("src").Where(f => Path.GetFileName(f) == "Program.cs")];
        programs.Length.ShouldBe(3);
        CodeLaws.FilesHaveAtMost(LongestProgram, programs, SourceTree.Lines);
    }

    [Fact]
    public void Files_AreShort() => CodeLaws.FilesHaveAtMost(LongestFile, [.. SourceTree.Files("src"), .. SourceTree.Files("tests")], SourceTree.Lines);

    [Fact]
    public void Namespaces_AreFolders() => CodeLaws.NamespacesAreFolders(SourceTree.Files("src"), SourceTree.Lines, Sorting);

    [Fact]
    public void Namespaces_SayWhatLivesThere() => CodeLaws.NamespacesSayWhatLivesThere(Product.All.Written());

    [Fact]
    public void NoMethod_IsAsyncVoid() => CodeLaws.NoAsyncVoid(Product.All.Written());
}
