using System.Text.RegularExpressions;
using Mono.Cecil;
using Mono.Cecil.Cil;
using Starlight.Architecture.Tests.Rules;

namespace Starlight.Architecture.Tests.Laws;

internal static partial class ErrorLaws
{
    private const string Error = "Starlight.Domain.SharedKernel.Error";

    public static void CodesAreConceptDotProblem(IReadOnlyCollection<TypeDefinition> types, IReadOnlyDictionary<string, string> reasons)
    {
        List<Use> uses = CodesOf(types);
        Law.Holds(
            "error codes are constants of the form Concept.Problem",
            uses,
            use => (use.Code, reasons.ContainsKey(use.Where)) switch
            {
                (null, false) => [$"{use.Where}: the code is computed"],
                (null, true) => [],
                ({ } code, _) => Form().IsMatch(code) ? [] : [$"{use.Where}: '{code}'"],
            });
        Law.Holds("what is listed is still there", [.. reasons.Keys.DefaultIfEmpty()], where => where is null || uses.Any(u => u.Where == where && u.Code is null) ? [] : [$"{where}: listed and gone"]);
    }

    /// <summary>A code that means one thing here and another there would be no use to a program.</summary>
    public static void ACodeHasOneKind(IReadOnlyCollection<TypeDefinition> types) => Law.Holds(
        "an error code has one kind",
        [.. CodesOf(types).Where(u => u is { Code: not null, Kind: not null }).GroupBy(u => u.Code!, StringComparer.Ordinal)],
        group => group.Select(u => u.Kind).Distinct().Count() == 1
            ? []
            : [$"{group.Key}: {string.Join(", ", group.Select(u => $"{u.Kind} in {u.Where}").Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))}"]);

    /// <param name="Code">Null if it is computed.</param>
    /// <param name="Kind">Null if it is not a constant there.</param>
    private sealed record Use(string Where, string? Code, int? Kind);

    /// <summary>
    /// Follows the first argument of <c>new Error(…)</c> back to constants: through methods that take the code as a parameter to their callers, until no new method turns up.
    /// </summary>
    private static List<Use> CodesOf(IReadOnlyCollection<TypeDefinition> types)
    {
        MethodDefinition[] methods = [.. types.SelectMany(Methods).Where(m => m.HasBody)];
        List<Use> uses = [];
        Queue<(string Method, int Parameter)> sinks = new([($"{Error}::.ctor", 0), ("FluentValidation.DefaultValidatorOptions::WithErrorCode", 1)]);
        HashSet<(string, int)> seen = [.. sinks];
        ILookup<string, (MethodDefinition In, MethodReference Called, Instruction?[] Origins)> calls = methods
            .SelectMany(m => Arguments.CallsIn(m).Select(c => (In: m, c.Called, c.Origins)))
            .ToLookup(c => NameOf(c.Called), StringComparer.Ordinal);
        while (sinks.TryDequeue(out (string Method, int Parameter) sink))
        {
            // the copy constructor of the record has one parameter
            foreach ((MethodDefinition caller, MethodReference called, Instruction?[] origins) in calls[sink.Method].Where(c => c.Origins.Length > sink.Parameter && c.Called.Parameters[0].ParameterType.FullName != Error))
            {
                if (Product.SpaceOf(caller.DeclaringType) == "Starlight.Domain.SharedKernel")
                {
                    continue;
                }

                Instruction? origin = origins[sink.Parameter];
                if (origin is not null && Arguments.ParameterOf(origin, caller) is { } parameter)
                {
                    (string, int) next = (NameOf(caller), parameter.Index + (caller.HasThis && !caller.IsConstructor ? 1 : 0));
                    if (seen.Add(next))
                    {
                        sinks.Enqueue(next);
                    }

                    continue;
                }

                int? kind = sink.Method.EndsWith("::.ctor", StringComparison.Ordinal) && origins.Length == 3 ? Constant(origins[2]) : null;
                uses.Add(new Use(NameOf(caller), origin?.OpCode.Code == Code.Ldstr ? (string)origin.Operand : null, kind));
            }
        }

        return uses;
    }

    private static IEnumerable<MethodDefinition> Methods(TypeDefinition type) => type.Methods.Concat(type.NestedTypes.Where(Product.IsGenerated).SelectMany(Methods));

    private static string NameOf(MethodReference method) => $"{method.DeclaringType.GetElementType().FullName}::{method.Name}";

    private static int? Constant(Instruction? origin) => origin?.OpCode.Code switch
    {
        Code.Ldc_I4_S => (sbyte)origin.Operand,
        Code.Ldc_I4 => (int)origin.Operand,
        >= Code.Ldc_I4_0 and <= Code.Ldc_I4_8 => origin.OpCode.Code - Code.Ldc_I4_0,
        _ => null,
    };

    [GeneratedRegex(@"^[A-Z][A-Za-z0-9]*\.[A-Z][A-Za-z0-9]*$", RegexOptions.None, 1000)]
    private static partial Regex Form();
}
