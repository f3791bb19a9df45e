using Mono.Cecil;
using Starlight.Architecture.Tests.Rules;

namespace Starlight.Architecture.Tests.Laws;

internal static class DependencyLaws
{
    /// <summary>The framework itself: what needs no package.</summary>
    private static readonly string[] Framework = ["System", "mscorlib", "netstandard", "Microsoft.Win32.Primitives"];

    /// <summary>Only the framework and what is named: whole assemblies, so a package that is merely referenced and used once is seen.</summary>
    public static void ReferencesOnly(AssemblyDefinition assembly, params string[] allowed) => Law.Holds(
        $"{assembly.Name.Name} references nothing but the framework{(allowed.Length == 0 ? "" : ", " + string.Join(", ", allowed))}",
        [assembly],
        a => a.MainModule.AssemblyReferences.Select(r => r.Name)
            .Where(name => !allowed.Contains(name) && !Framework.Any(f => Product.IsIn(name, f)))
            .Select(name => $"{a.Name.Name}: references {name}"));

    public static void ReferencesNone(IReadOnlyCollection<AssemblyDefinition> assemblies, params string[] forbidden) => Law.Holds(
        $"no reference to {string.Join(", ", forbidden)}",
        assemblies,
        a => a.MainModule.AssemblyReferences.Select(r => r.Name).Where(n => n != a.Name.Name && forbidden.Contains(n)).Select(n => $"{a.Name.Name}: references {n}"));

    /// <param name="text">The law in a sentence.</param>
    /// <param name="types">Who must keep it.</param>
    /// <param name="forbidden">Full names of types, or namespaces with all below them.</param>
    public static void MentionsNone(string text, IReadOnlyCollection<TypeDefinition> types, params string[] forbidden) =>
        Law.Holds(text, types, type => Mentions.Offences(type, name => forbidden.Any(f => Product.IsIn(name, f))));

    /// <param name="text">The law in a sentence.</param>
    /// <param name="types">Who must keep it.</param>
    /// <param name="forbidden">Methods, as <c>Namespace.Type::Method</c>.</param>
    public static void CallsNone(string text, IReadOnlyCollection<TypeDefinition> types, params string[] forbidden) =>
        Law.Holds(text, types, type => Mentions.CallsOf(type).Where(forbidden.Contains).Select(call => $"{type.FullName}: calls {call}"));
}
