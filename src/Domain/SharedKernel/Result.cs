using System.Diagnostics.CodeAnalysis;

namespace Starlight.Domain.SharedKernel;

/// <summary>The outcome of a use case that returns no value.</summary>
public readonly struct Result
{
    private Result(Error? error) => Error = error;

    /// <summary>The failure, or null on success.</summary>
    public Error? Error { get; }

    [MemberNotNullWhen(false, nameof(Error))]
    public bool IsSuccess => Error is null;

    public static Result Success => default;

    public static Result Failure(Error error) => new(error);

    public static implicit operator Result(Error error) => new(error);

    /// <summary>Throws <see cref="FailureException"/> on failure: for callers whose own contract is exceptions.</summary>
    public void ThrowIfFailure()
    {
        if (Error is not null)
        {
            throw new FailureException(Error);
        }
    }
}

/// <summary>The outcome of a use case: a value or an <see cref="SharedKernel.Error"/>.</summary>
public readonly struct Result<T>
{
    private readonly T? _value;
    private readonly bool _hasValue;

    private Result(T value)
    {
        _value = value;
        _hasValue = true;
    }

    private Result(Error error) => Error = error;

    /// <summary>The failure, or null on success.</summary>
    public Error? Error { get; }

    [MemberNotNullWhen(false, nameof(Error))]
    public bool IsSuccess => Error is null && _hasValue;

    /// <summary>The value. Throws <see cref="FailureException"/> if this is a failure.</summary>
    public T Value => IsSuccess
        ? _value!
        : throw (Error is null ? new InvalidOperationException("a default Result has no value") : new FailureException(Error));

    /// <summary>For interface types, from which C# has no implicit conversion.</summary>
    public static Result<T> Success(T value) => new(value);

    public static Result<T> Failure(Error error) => new(error);

    public static implicit operator Result<T>(T value) => new(value);

    public static implicit operator Result<T>(Error error) => new(error);

    public Result<TOther> Map<TOther>(Func<T, TOther> map) => IsSuccess ? map(_value!) : Result<TOther>.Failure(Error);
}
