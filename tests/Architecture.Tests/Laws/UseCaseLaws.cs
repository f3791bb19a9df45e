using Mono.Cecil;
using Starlight.Architecture.Tests.Rules;

namespace Starlight.Architecture.Tests.Laws;

internal static class UseCaseLaws
{
    private const string Request = "MediatR.IRequest`1";
    private const string Handler = "MediatR.IRequestHandler`2";
    private const string Validator = "FluentValidation.AbstractValidator`1";

    public static void HandlersAreInternalAndSealed(IReadOnlyCollection<TypeDefinition> types) =>
        AreInternalAndSealed("handlers are internal sealed: they are reached by sending their request", [.. types.Where(t => HandledBy(t).Any())]);

    public static void ValidatorsAreInternalAndSealed(IReadOnlyCollection<TypeDefinition> types) =>
        AreInternalAndSealed("validators are internal sealed: the pipeline finds them", [.. types.Where(t => Generic(t.BaseType, Validator) is not null)]);

    public static void EveryRequestHasOneHandler(IReadOnlyCollection<TypeDefinition> types)
    {
        ILookup<string, TypeDefinition> handlers = types.SelectMany(t => HandledBy(t).Select(request => (Request: request, Handler: t))).ToLookup(p => p.Request, p => p.Handler);
        Law.Holds("every request has exactly one handler", [.. types.Where(t => ResultsOf(t).Any())], request => handlers[request.FullName].Count() == 1
            ? []
            : [$"{request.FullName}: handled by {(handlers[request.FullName].Any() ? string.Join(", ", handlers[request.FullName].Select(h => h.FullName)) : "nobody")}"]);
    }

    /// <summary>So that a use case has one way to fail (ADR 0003).</summary>
    public static void RequestsReturnResults(IReadOnlyCollection<TypeDefinition> types) => Law.Holds(
        "every request returns Result or Result<T>",
        [.. types.Where(t => ResultsOf(t).Any())],
        request => ResultsOf(request).Where(r => r.GetElementType().FullName is not ("Starlight.Domain.SharedKernel.Result" or "Starlight.Domain.SharedKernel.Result`1"))
            .Select(r => $"{request.FullName}: returns {r.FullName}"));

    /// <summary>A request is named for what it does to the state: <c>…Command</c> changes it, <c>…Query</c> does not.</summary>
    public static void RequestsAreCommandsOrQueries(IReadOnlyCollection<TypeDefinition> types) => Law.Holds(
        "requests are named …Command or …Query",
        [.. types.Where(t => ResultsOf(t).Any())],
        request => request.Name.EndsWith("Command", StringComparison.Ordinal) || request.Name.EndsWith("Query", StringComparison.Ordinal) ? [] : [$"{request.FullName}: named neither"]);

    /// <summary>A port that nobody implements is dead, or its adapter is registered as something else.</summary>
    public static void EveryPortHasAnAdapter(IReadOnlyCollection<TypeDefinition> ports, IReadOnlyCollection<TypeDefinition> adapters)
    {
        HashSet<string> implemented = [.. adapters.SelectMany(t => t.Interfaces).Select(i => i.InterfaceType.GetElementType().FullName)];
        Law.Holds("every port has an adapter", [.. ports.Where(t => t.IsInterface)], port => implemented.Contains(port.FullName) ? [] : [$"{port.FullName}: implemented nowhere"]);
    }

    private static void AreInternalAndSealed(string text, IReadOnlyCollection<TypeDefinition> types) => Law.Holds(text, types, type => (type.IsPublic || type.IsNestedPublic, type.IsSealed) switch
    {
        (false, true) => [],
        (true, true) => [$"{type.FullName}: public"],
        (false, false) => [$"{type.FullName}: not sealed"],
        (true, false) => [$"{type.FullName}: public and not sealed"],
    });

    private static IEnumerable<TypeReference> ResultsOf(TypeDefinition type) =>
        type.Interfaces.Select(i => Generic(i.InterfaceType, Request)).OfType<GenericInstanceType>().Select(r => r.GenericArguments[0])
            .Concat(type.Interfaces.Where(i => i.InterfaceType.FullName == "MediatR.IRequest").Select(i => i.InterfaceType));

    private static IEnumerable<string> HandledBy(TypeDefinition type) =>
        type.Interfaces.Select(i => Generic(i.InterfaceType, Handler)).OfType<GenericInstanceType>().Select(h => h.GenericArguments[0].FullName);

    private static GenericInstanceType? Generic(TypeReference? type, string name) => type is GenericInstanceType generic && generic.ElementType.FullName == name ? generic : null;
}
