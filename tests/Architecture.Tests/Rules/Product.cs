using System.Collections.Concurrent;
using Mono.Cecil;
using Mono.Cecil.Rocks;

namespace Starlight.Architecture.Tests.Rules;

/// <summary>The compiled code of the product, read with Cecil: nothing of it is executed or loaded.</summary>
internal static class Product
{
    private static readonly ConcurrentDictionary<string, AssemblyDefinition> Read = new(StringComparer.Ordinal);

    public static AssemblyDefinition Domain => Assembly("Starlight.Domain");

    public static AssemblyDefinition Application => Assembly("Starlight.Application");

    public static AssemblyDefinition Infrastructure => Assembly("Starlight.Infrastructure");

    public static AssemblyDefinition Proxy => Assembly("starlight-proxy");

    public static AssemblyDefinition Worker => Assembly("starlight-daemon");

    public static AssemblyDefinition Cli => Assembly("ctr-starlight");

    public static AssemblyDefinition Tests => Assembly(typeof(Product).Assembly.GetName().Name!);

    public static IReadOnlyList<AssemblyDefinition> Presentation => [Proxy, Worker, Cli];

    public static IReadOnlyList<AssemblyDefinition> All => [Domain, Application, Infrastructure, .. Presentation];

    /// <summary>Types that a person wrote, nested ones too: no closures, state machines, generated messages or generated regular expressions.</summary>
    public static IReadOnlyList<TypeDefinition> Written(this AssemblyDefinition assembly) =>
        [.. assembly.MainModule.GetAllTypes().Where(t => t.Name != "<Module>" && !IsGenerated(t))];

    public static IReadOnlyList<TypeDefinition> Written(this IEnumerable<AssemblyDefinition> assemblies) => [.. assemblies.SelectMany(Written)];

    public static IReadOnlyList<TypeDefinition> In(this IEnumerable<TypeDefinition> types, string space) => [.. types.Where(t => IsIn(SpaceOf(t), space))];

    public static IReadOnlyList<TypeDefinition> NotIn(this IEnumerable<TypeDefinition> types, string space) => [.. types.Where(t => !IsIn(SpaceOf(t), space))];

    /// <summary>Whether <paramref name="name"/>, of a type or a namespace, is <paramref name="space"/> or below it.</summary>
    public static bool IsIn(string name, string space) => name == space || (name.StartsWith(space, StringComparison.Ordinal) && name[space.Length] is '.' or '/' or '+');

    /// <summary>The namespace, for nested types too.</summary>
    public static string SpaceOf(TypeReference type)
    {
        while (type.DeclaringType is not null)
        {
            type = type.DeclaringType;
        }

        return type.Namespace;
    }

    public static bool IsGenerated(TypeDefinition type) =>
        type.Name.Contains('<', StringComparison.Ordinal)
        || SpaceOf(type).Length == 0
        || SpaceOf(type).StartsWith("System.", StringComparison.Ordinal)
        || SpaceOf(type).StartsWith("Microsoft.", StringComparison.Ordinal)
        || IsMessage(type)
        || Has(type, "System.Runtime.CompilerServices.CompilerGeneratedAttribute")
        || Has(type, "System.CodeDom.Compiler.GeneratedCodeAttribute")
        || (type.DeclaringType is not null && IsGenerated(type.DeclaringType));

    public static bool Has(this ICustomAttributeProvider provider, string attribute) => provider.CustomAttributes.Any(a => a.AttributeType.FullName == attribute);

    /// <summary>What protoc made: the messages and the file descriptors.</summary>
    private static bool IsMessage(TypeDefinition type) =>
        type.Interfaces.Any(i => i.InterfaceType.FullName == "Google.Protobuf.IMessage")
        || type.Properties.Any(p => p.Name == "Descriptor" && p.PropertyType.FullName == "Google.Protobuf.Reflection.FileDescriptor")
        || type.Fields.Any(f => f.Has("Google.Protobuf.Reflection.OriginalNameAttribute"));

    private static AssemblyDefinition Assembly(string name) => Read.GetOrAdd(name, n =>
    {
        DefaultAssemblyResolver resolver = new();
        resolver.AddSearchDirectory(AppContext.BaseDirectory);
        resolver.AddSearchDirectory(Path.GetDirectoryName(typeof(object).Assembly.Location));
        resolver.AddSearchDirectory(Path.GetDirectoryName(typeof(Microsoft.AspNetCore.Builder.WebApplication).Assembly.Location));
        return AssemblyDefinition.ReadAssembly(Path.Combine(AppContext.BaseDirectory, n + ".dll"), new ReaderParameters { AssemblyResolver = resolver });
    });
}
