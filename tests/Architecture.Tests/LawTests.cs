using Mono.Cecil;
using Starlight.Architecture.Tests.Laws;
using Starlight.Architecture.Tests.Rules;

namespace Starlight.Architecture.Tests;

/// <summary>Every law can fail, names who broke it and only them, and fails when it is about nothing.</summary>
public sealed class LawTests
{
    private const string Space = "Starlight.Architecture.Tests.Samples";

    private static readonly Dictionary<string, string[]> Files = new(StringComparer.Ordinal)
    {
        ["src/Infrastructure/Short.cs"] = ["namespace Starlight.Infrastructure;", "internal sealed class Short;"],
        ["src/Infrastructure/Long/Long.cs"] = ["namespace Starlight.Infrastructure;", .. Enumerable.Repeat("// line", 9)],
        ["src/Infrastructure/Pointers.cs"] = ["namespace Starlight.Infrastructure;", "    private static unsafe void Write(byte* to)"],
        ["src/Infrastructure/Native/Pointers.cs"] = ["namespace Starlight.Infrastructure.Native;", "internal static unsafe class Pointers;"],
        ["src/Infrastructure/Words.cs"] = ["namespace Starlight.Infrastructure;", "// this is unsafe in a comment", "/// <summary>unsafe</summary>"],
    };

    [Fact]
    public void ALawAboutNothing_Fails() => Broken(() => Law.Holds<string>("all is well", [], _ => [])).ShouldContain("nothing that this is about exists");

    [Fact]
    public void ALawThatIsKept_Passes() => Law.Holds("all is well", ["one"], _ => []);

    [Fact]
    public void Mentions_AreFoundInBodiesClosuresStateMachinesAndSignatures()
    {
        string[] offenders = Offenders(() => DependencyLaws.MentionsNone("no files", In(Space), "System.IO.File", "System.IO.FileInfo"));
        offenders.ShouldBe([$"{Space}.NeedsOneInASignature: mentions System.IO.FileInfo", $"{Space}.ReadsAFile: mentions System.IO.File", $"{Space}.ReadsAFileLater: mentions System.IO.File"]);
    }

    [Fact]
    public void Mentions_OfANamespace_DoNotMatchItsBeginning() => DependencyLaws.MentionsNone("no such namespace", In(Space), "System.I");

    [Fact]
    public void Calls_AreFound() => Offenders(() => DependencyLaws.CallsNone("no clock", In(Space), "System.DateTimeOffset::get_UtcNow"))
        .ShouldBe([$"{Space}.LooksAtTheClock: calls System.DateTimeOffset::get_UtcNow"]);

    [Fact]
    public void References_AreFound()
    {
        Offenders(() => DependencyLaws.ReferencesOnly(Product.Tests, "Starlight.Domain")).ShouldContain($"{Product.Tests.Name.Name}: references Mono.Cecil");
        Offenders(() => DependencyLaws.ReferencesNone([Product.Tests], "MediatR")).ShouldBe([$"{Product.Tests.Name.Name}: references MediatR"]);
    }

    [Fact]
    public void Handlers_ThatArePublicOrOpen_AreFound() => Offenders(() => UseCaseLaws.HandlersAreInternalAndSealed(In($"{Space}.UseCases")))
        .ShouldBe([$"{Space}.UseCases.OpenHandler: not sealed", $"{Space}.UseCases.PublicHandler: public"]);

    [Fact]
    public void Validators_ThatArePublic_AreFound() => Offenders(() => UseCaseLaws.ValidatorsAreInternalAndSealed(In($"{Space}.UseCases")))
        .ShouldBe([$"{Space}.UseCases.PublicValidator: public"]);

    [Fact]
    public void Requests_WithoutOrWithTwoHandlers_AreFound() => Offenders(() => UseCaseLaws.EveryRequestHasOneHandler(In($"{Space}.UseCases"))).ShouldBe(
    [
        $"{Space}.UseCases.ContestedCommand: handled by {Space}.UseCases.PublicHandler, {Space}.UseCases.OpenHandler",
        $"{Space}.UseCases.OrphanCommand: handled by nobody",
    ]);

    [Fact]
    public void Requests_WithoutAResult_AreFound() => Offenders(() => UseCaseLaws.RequestsReturnResults(In($"{Space}.UseCases"))).ShouldBe([$"{Space}.UseCases.Strange: returns System.String"]);

    [Fact]
    public void Requests_ThatAreNeitherCommandNorQuery_AreFound() =>
        Offenders(() => UseCaseLaws.RequestsAreCommandsOrQueries(In($"{Space}.UseCases"))).ShouldBe([$"{Space}.UseCases.Strange: named neither"]);

    [Fact]
    public void Ports_OfNobody_AreFound() => Offenders(() => UseCaseLaws.EveryPortHasAnAdapter(In(Space), In(Space))).ShouldBe([$"{Space}.IPortOfNobody: implemented nowhere"]);

    [Fact]
    public void OpenClasses_AreFound() => Offenders(() => CodeLaws.ConcreteTypesAreSealed([.. In(Space).NotIn($"{Space}.UseCases")])).ShouldBe([$"{Space}.Unsealed: not sealed"]);

    [Fact]
    public void NativeCalls_OutsideNative_AreFound() => Offenders(() => CodeLaws.NativeCallsLiveInNative(In(Space))).ShouldBe([$"{Space}.CallsLibc: declares getpid of libc"]);

    [Fact]
    public void AsyncVoid_IsFound() => Offenders(() => CodeLaws.NoAsyncVoid(In(Space))).ShouldBe([$"{Space}.StartsAndForgets: Start"]);

    [Fact]
    public void EmptyNames_AreFound() => Offenders(() => CodeLaws.NamespacesSayWhatLivesThere(In(Space))).ShouldBe([$"{Space}.Helpers.Whatever: is in Helpers"]);

    [Fact]
    public void LongFiles_AreFound() => Offenders(() => CodeLaws.FilesHaveAtMost(9, Files.Keys, f => Files[f])).ShouldBe(["src/Infrastructure/Long/Long.cs: 10 lines"]);

    [Fact]
    public void StrayNamespaces_AreFound()
    {
        Offenders(() => CodeLaws.NamespacesAreFolders(Files.Keys, f => Files[f])).ShouldBe(["src/Infrastructure/Long/Long.cs: is in Starlight.Infrastructure"]);
        CodeLaws.NamespacesAreFolders(Files.Keys, f => Files[f], "src/Infrastructure/Long");
    }

    [Fact]
    public void Pointers_ThatAreNotListed_AndStaleEntries_AreFound()
    {
        Dictionary<string, string> stale = new(StringComparer.Ordinal) { ["src/Infrastructure/Short.cs"] = "was needed once", ["src/Gone.cs"] = "was needed once" };
        Offenders(() => CodeLaws.PointersLiveInNative(Files.Keys, f => Files[f], stale)).ShouldBe(
        [
            "src/Gone.cs: listed and not unsafe any more",
            "src/Infrastructure/Pointers.cs: unsafe and not listed",
            "src/Infrastructure/Short.cs: listed and not unsafe any more",
        ]);
    }

    [Fact]
    public void Codes_OfAnotherForm_AreFound_ThroughHelpersToo() => Offenders(() => ErrorLaws.CodesAreConceptDotProblem(In($"{Space}.Errors"), new Dictionary<string, string>(StringComparer.Ordinal))).ShouldBe(
    [
        $"{Space}.Errors.Codes::Bad: 'no such thing'",
        $"{Space}.Errors.Codes::Computed: the code is computed",
        $"{Space}.Errors.Codes::ThroughAHelper: 'also bad'",
    ]);

    [Fact]
    public void Codes_OfTwoKinds_AreFound() => Offenders(() => ErrorLaws.ACodeHasOneKind(In($"{Space}.Errors")))
        .ShouldBe([$"Sample.Good: 1 in {Space}.Errors.Codes::Good, 11 in {Space}.Errors.Codes::OtherKind"]);

    private static IReadOnlyList<TypeDefinition> In(string space) => Product.Tests.Written().In(space);

    private static string Broken(Action law) => Should.Throw<LawBrokenException>(law).Message;

    private static string[] Offenders(Action law) => [.. Broken(law).Split('\n').Skip(1).Select(l => l.Trim())];
}
