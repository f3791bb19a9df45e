namespace Starlight.Domain.SharedKernel;

/// <summary>
/// Carries an <see cref="SharedKernel.Error"/> where a return value cannot: out of adapters, stream reads and callbacks. The pipeline
/// behaviour around every use case turns it back into a <see cref="Result"/> (ADR 0003).
/// </summary>
public sealed class FailureException : Exception
{
    public FailureException(Error error)
        : this(error, innerException: null)
    {
    }

    public FailureException(Error error, Exception? innerException)
        : base((error ?? throw new ArgumentNullException(nameof(error))).Message, innerException) => Error = error;

    public Error Error { get; }
}
