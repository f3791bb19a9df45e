using FluentValidation;
using MediatR;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Notify;

/// <summary>
/// Makes the proxy index an image: every platform image of the reference, or those of <paramref name="Platforms"/>. Repeating it reads nothing twice;
/// calls for the same reference at the same time share one run. Either all of it is stored or nothing.
/// </summary>
/// <param name="Platforms">Empty for every platform.</param>
/// <param name="Insecure">Plain HTTP and unchecked certificates are acceptable.</param>
/// <param name="Progress">Told about stages and bytes, from any thread; null if nobody looks.</param>
public sealed record NotifyImageCommand(ImageReference Reference, IReadOnlyList<Platform> Platforms, bool Insecure, IProgress<NotifyProgress>? Progress = null)
    : IRequest<Result<NotifyReport>>;

internal sealed class NotifyImageValidator : AbstractValidator<NotifyImageCommand>
{
    /// <summary>More platforms than any image has.</summary>
    private const int MaxPlatforms = 32;

    public NotifyImageValidator()
    {
        RuleFor(c => c.Platforms.Count).LessThanOrEqualTo(MaxPlatforms).WithErrorCode("Notify.TooManyPlatforms").WithMessage($"name at most {MaxPlatforms} platforms");
    }
}

internal sealed class NotifyImageHandler(SharedNotifications notifications) : IRequestHandler<NotifyImageCommand, Result<NotifyReport>>
{
    public async Task<Result<NotifyReport>> Handle(NotifyImageCommand request, CancellationToken cancellationToken) =>
        await notifications.RunAsync(request, cancellationToken);
}
