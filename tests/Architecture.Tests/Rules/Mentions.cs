using Mono.Cecil;
using Mono.Cecil.Cil;

namespace Starlight.Architecture.Tests.Rules;

/// <summary>Every type that a type needs: in its signatures, attributes and method bodies, and in those of the closures and state machines that the compiler nested in it.</summary>
internal static class Mentions
{
    public static IReadOnlySet<string> Of(TypeDefinition type)
    {
        HashSet<string> names = new(StringComparer.Ordinal);
        Collect(type, names);
        names.Remove(type.FullName);
        return names;
    }

    /// <summary>Offences of the form "who: mentions what" for everything that <paramref name="forbidden"/> matches.</summary>
    public static IEnumerable<string> Offences(TypeDefinition type, Func<string, bool> forbidden) => Of(type).Where(forbidden).Select(name => $"{type.FullName}: mentions {name}");

    /// <summary>Names of methods that are called, as <c>Namespace.Type::Method</c>.</summary>
    public static IEnumerable<string> CallsOf(TypeDefinition type) =>
        type.Methods.Where(m => m.HasBody)
            .SelectMany(m => m.Body.Instructions)
            .Select(i => i.Operand)
            .OfType<MethodReference>()
            .Select(m => $"{m.DeclaringType.GetElementType().FullName}::{m.Name}")
            .Concat(type.NestedTypes.Where(Product.IsGenerated).SelectMany(CallsOf));

    private static void Collect(TypeDefinition type, HashSet<string> names)
    {
        Add(type.BaseType, names);
        Attributes(type, names);
        Parameters(type, names);
        foreach (InterfaceImplementation implemented in type.Interfaces)
        {
            Add(implemented.InterfaceType, names);
        }

        foreach (FieldDefinition field in type.Fields)
        {
            Add(field.FieldType, names);
            Attributes(field, names);
        }

        foreach (PropertyDefinition property in type.Properties)
        {
            Attributes(property, names);
        }

        foreach (MethodDefinition method in type.Methods)
        {
            Signature(method, names);
            Attributes(method, names);
            Parameters(method, names);
            if (method.HasBody)
            {
                Body(method.Body, names);
            }
        }

        // What a person nested is a subject of its own.
        foreach (TypeDefinition nested in type.NestedTypes.Where(Product.IsGenerated))
        {
            Collect(nested, names);
        }
    }

    private static void Body(MethodBody body, HashSet<string> names)
    {
        foreach (VariableDefinition variable in body.Variables)
        {
            Add(variable.VariableType, names);
        }

        foreach (ExceptionHandler handler in body.ExceptionHandlers)
        {
            Add(handler.CatchType, names);
        }

        foreach (object? operand in body.Instructions.Select(i => i.Operand))
        {
            switch (operand)
            {
                case TypeReference type:
                    Add(type, names);
                    break;
                case FieldReference field:
                    Add(field.DeclaringType, names);
                    Add(field.FieldType, names);
                    break;
                case MethodReference method:
                    Add(method.DeclaringType, names);
                    Signature(method, names);
                    foreach (TypeReference argument in (method as GenericInstanceMethod)?.GenericArguments ?? [])
                    {
                        Add(argument, names);
                    }

                    break;
            }
        }
    }

    private static void Signature(MethodReference method, HashSet<string> names)
    {
        Add(method.ReturnType, names);
        foreach (ParameterDefinition parameter in method.Parameters)
        {
            Add(parameter.ParameterType, names);
        }
    }

    private static void Parameters(IGenericParameterProvider provider, HashSet<string> names)
    {
        foreach (GenericParameterConstraint constraint in provider.GenericParameters.SelectMany(p => p.Constraints))
        {
            Add(constraint.ConstraintType, names);
        }
    }

    private static void Attributes(ICustomAttributeProvider provider, HashSet<string> names)
    {
        foreach (CustomAttribute attribute in provider.CustomAttributes)
        {
            Add(attribute.AttributeType, names);
        }
    }

    private static void Add(TypeReference? type, HashSet<string> names)
    {
        switch (type)
        {
            case null or GenericParameter:
                return;
            case GenericInstanceType generic:
                foreach (TypeReference argument in generic.GenericArguments)
                {
                    Add(argument, names);
                }

                Add(generic.ElementType, names);
                return;
            case TypeSpecification specification:
                Add(specification.ElementType, names);
                return;
            default:
                names.Add(type.FullName);
                return;
        }
    }
}
