using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace Starlight.Architecture.Tests.Approved;

/// <summary>Lists public types and their members, one a line, in an order that does not depend on the sources'.</summary>
internal static class PublicTypes
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    /// <summary>What the compiler adds to every record.</summary>
    private static readonly string[] OfRecords = ["<Clone>$", "Equals", "GetHashCode", "ToString", "Deconstruct", "op_Equality", "op_Inequality", "PrintMembers", "EqualityContract"];

    public static string Of(Assembly assembly, string space)
    {
        StringBuilder text = new();
        foreach (Type type in assembly.GetExportedTypes().Where(t => t.Namespace == space || t.Namespace!.StartsWith(space + ".", StringComparison.Ordinal)).OrderBy(t => t.FullName, StringComparer.Ordinal))
        {
            text.Append($"{Kind(type)} {type.Namespace}.{Name(type)}\n");
            foreach (string member in Members(type).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
            {
                text.Append($"  {member}\n");
            }
        }

        return text.ToString();
    }

    private static string Kind(Type type) => type switch
    {
        { IsEnum: true } => "enum",
        { IsInterface: true } => "interface",
        { IsValueType: true } => "struct",
        { IsAbstract: true, IsSealed: true } => "static class",
        { IsAbstract: true } => "abstract class",
        { IsSealed: true } => "class",
        _ => "open class",
    };

    private static IEnumerable<string> Members(Type type)
    {
        if (type.IsEnum)
        {
            return Enum.GetNames(type).Select(name => $"{name} = {Convert.ToInt64(Enum.Parse(type, name), System.Globalization.CultureInfo.InvariantCulture)}");
        }

        bool isRecord = type.GetMethod("PrintMembers", Declared) is not null;
        IEnumerable<string> fields = type.GetFields(Declared).Where(f => f.IsPublic).Select(f => $"{(f.IsLiteral ? "const " : "")}{Name(f.FieldType)} {f.Name}{(f.IsLiteral ? $" = {f.GetRawConstantValue()}" : "")}");
        IEnumerable<string> properties = type.GetProperties(Declared)
            .Where(p => p.GetMethod is { IsPublic: true } && !(isRecord && OfRecords.Contains(p.Name)))
            .Select(p => $"{Static(p.GetMethod!)}{Name(p.PropertyType)} {p.Name}{(p.GetIndexParameters().Length > 0 ? $"[{Parameters(p.GetMethod!)}]" : "")} {{ get;{(p.SetMethod is { IsPublic: true } set ? IsInit(set) ? " init;" : " set;" : "")} }}");
        IEnumerable<string> constructors = type.GetConstructors(Declared).Where(c => c.IsPublic && !c.IsStatic).Select(c => $"new({Parameters(c)})");
        IEnumerable<string> methods = type.GetMethods(Declared)
            .Where(m => m.IsPublic && !(m.IsSpecialName && !m.Name.StartsWith("op_", StringComparison.Ordinal)) && !(isRecord && OfRecords.Contains(m.Name)))
            .Select(m => $"{Static(m)}{Name(m.ReturnType)} {m.Name}{(m.IsGenericMethodDefinition ? $"<{string.Join(", ", m.GetGenericArguments().Select(Name))}>" : "")}({Parameters(m)})");
        IEnumerable<string> bases = type.GetInterfaces().Where(i => i.Namespace!.StartsWith("Starlight", StringComparison.Ordinal) || i == typeof(IDisposable) || i == typeof(IAsyncDisposable)).Select(i => $": {Name(i)}");
        return [.. bases, .. fields, .. properties, .. constructors, .. methods];
    }

    private static bool IsInit(MethodInfo set) => set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit));

    private static string Static(MethodBase method) => method.IsStatic ? "static " : "";

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(p => $"{(p.IsOut ? "out " : p.ParameterType.IsByRef ? "ref " : "")}{Name(p.ParameterType)} {p.Name}{(p.HasDefaultValue ? " = …" : "")}"));

    private static string Name(Type type)
    {
        if (type.IsByRef || type.IsArray)
        {
            return Name(type.GetElementType()!) + (type.IsArray ? "[]" : "");
        }

        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return Name(underlying) + "?";
        }

        string name = type.IsNested && !type.IsGenericParameter ? $"{Name(type.DeclaringType!)}.{type.Name}" : type.Name;
        return type.IsGenericType && name.Contains('`', StringComparison.Ordinal) ? $"{name[..name.IndexOf('`', StringComparison.Ordinal)]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>" : name;
    }
}
