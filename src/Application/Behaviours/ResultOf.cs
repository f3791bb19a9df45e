using System.Reflection;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Behaviours;

/// <summary>
/// Makes and reads failures of whatever result type a use case returns. Both delegates are bound once per type; a use case that returns
/// neither <see cref="Result"/> nor <see cref="Result{T}"/> has none, and its failures stay exceptions.
/// </summary>
internal static class ResultOf<TResponse>
{
    private static readonly Type? ValueType =
        typeof(TResponse).IsGenericType && typeof(TResponse).GetGenericTypeDefinition() == typeof(Result<>) ? typeof(TResponse).GenericTypeArguments[0] : null;

    public static Func<Error, TResponse>? Failure { get; } = Bind<Func<Error, TResponse>>(nameof(Fail));

    public static Func<TResponse, Error?>? Error { get; } = Bind<Func<TResponse, Error?>>(nameof(ErrorOf));

    private static TDelegate? Bind<TDelegate>(string method)
        where TDelegate : Delegate
    {
        const BindingFlags flags = BindingFlags.NonPublic | BindingFlags.Static;
        if (typeof(TResponse) == typeof(Result))
        {
            return typeof(ResultOf<TResponse>).GetMethod(method, 0, flags, [typeof(TDelegate).GenericTypeArguments[0]])!.CreateDelegate<TDelegate>();
        }

        return ValueType is null
            ? null
            : typeof(ResultOf<TResponse>).GetMethods(flags).Single(m => m.Name == method && m.IsGenericMethodDefinition).MakeGenericMethod(ValueType).CreateDelegate<TDelegate>();
    }

    private static Result Fail(Error error) => Result.Failure(error);

    private static Result<T> Fail<T>(Error error) => Result<T>.Failure(error);

    private static Error? ErrorOf(Result result) => result.Error;

    private static Error? ErrorOf<T>(Result<T> result) => result.Error;
}
