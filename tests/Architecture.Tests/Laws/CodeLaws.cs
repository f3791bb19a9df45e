using System.Text.RegularExpressions;
using Mono.Cecil;
using Starlight.Architecture.Tests.Rules;

namespace Starlight.Architecture.Tests.Laws;

internal static partial class CodeLaws
{
    private static readonly string[] SayNothing = ["Helpers", "Helper", "Utils", "Util", "Utilities", "Managers", "Common", "Misc", "Shared", "Dtos", "Entities", "Extensions"];

    public static void ConcreteTypesAreSealed(IReadOnlyCollection<TypeDefinition> types) => Law.Holds(
        "concrete types of the data plane are sealed: calls on them need no virtual dispatch",
        [.. types.Where(t => t.IsClass && !t.IsAbstract && !t.IsValueType)],
        type => type.IsSealed ? [] : [$"{type.FullName}: not sealed"]);

    public static void NativeCallsLiveInNative(IReadOnlyCollection<TypeDefinition> types) => Law.Holds(
        "native functions are declared in namespaces called Native",
        [.. types.Where(t => t.Methods.Any(m => m.IsPInvokeImpl))],
        type => Product.SpaceOf(type).EndsWith(".Native", StringComparison.Ordinal)
            ? []
            : type.Methods.Where(m => m.IsPInvokeImpl).Select(m => $"{type.FullName}: declares {m.PInvokeInfo.EntryPoint} of {m.PInvokeInfo.Module.Name}"));

    public static void NoAsyncVoid(IReadOnlyCollection<TypeDefinition> types) => Law.Holds(
        "no async void: its failure would end the process",
        [.. types.Where(t => t.HasMethods)],
        type => type.Methods.Where(m => m.ReturnType.FullName == "System.Void" && m.Has("System.Runtime.CompilerServices.AsyncStateMachineAttribute"))
            .Concat(type.NestedTypes.Where(Product.IsGenerated).SelectMany(n => n.Methods).Where(m => m.ReturnType.FullName == "System.Void" && m.Has("System.Runtime.CompilerServices.AsyncStateMachineAttribute")))
            .Select(m => $"{type.FullName}: {m.Name}"));

    public static void NamespacesSayWhatLivesThere(IReadOnlyCollection<TypeDefinition> types) => Law.Holds(
        "no namespace is called " + string.Join(", ", SayNothing),
        types,
        type => Product.SpaceOf(type).Split('.').Intersect(SayNothing, StringComparer.Ordinal).Select(part => $"{type.FullName}: is in {part}"));

    public static void FilesHaveAtMost(int limit, IReadOnlyCollection<string> files, Func<string, string[]> read) => Law.Holds(
        $"no more than {limit} lines: split along an idea",
        files,
        file => read(file).Length is var lines && lines > limit ? [$"{file}: {lines} lines"] : []);

    /// <summary>A namespace is its folder, so that a name in a stack trace says where to look.</summary>
    public static void NamespacesAreFolders(IReadOnlyCollection<string> files, Func<string, string[]> read, params string[] sorting) => Law.Holds(
        "the namespace is Starlight and the folders below src",
        [.. files.Where(f => read(f).Any(l => l.StartsWith("namespace ", StringComparison.Ordinal)))],
        file =>
        {
            string folder = Path.GetDirectoryName(file)!;
            string expected = "Starlight." + (sorting.Contains(folder) ? Path.GetDirectoryName(folder)! : folder)["src/".Length..].Replace('/', '.');
            string actual = read(file).First(l => l.StartsWith("namespace ", StringComparison.Ordinal))["namespace ".Length..].TrimEnd(';', ' ');
            return actual == expected ? [] : [$"{file}: is in {actual}"];
        });

    /// <param name="files">Every source file.</param>
    /// <param name="read">Gives the lines of one.</param>
    /// <param name="reasons">Files outside Native that may hold pointers, each with why. One that no longer does is an offence too.</param>
    public static void PointersLiveInNative(IReadOnlyCollection<string> files, Func<string, string[]> read, IReadOnlyDictionary<string, string> reasons) => Law.Holds(
        "unsafe code is in folders called Native, or its file is listed with a reason",
        [.. files.Where(f => IsUnsafe(read(f))).Concat(reasons.Keys).Distinct(StringComparer.Ordinal)],
        file => (IsUnsafe: files.Contains(file) && IsUnsafe(read(file)), Listed: reasons.ContainsKey(file) || file.Contains("/Native/", StringComparison.Ordinal)) switch
        {
            (true, false) => [$"{file}: unsafe and not listed"],
            (false, true) => [$"{file}: listed and not unsafe any more"],
            _ => [],
        });

    private static bool IsUnsafe(string[] lines) => lines.Any(l => UnsafeModifier().IsMatch(l) && !l.TrimStart().StartsWith("//", StringComparison.Ordinal));

    [GeneratedRegex(@"^\s*((public|internal|private|protected|static|sealed|partial|override|extern|readonly|ref|async|new|virtual)\s+)*unsafe\b", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex UnsafeModifier();
}
