using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Starlight.Application.Notify;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.UnitTests.Notify;

/// <summary>What AddApplication puts around every use case.</summary>
public sealed class PipelineTests
{
    private static readonly ImageReference Reference = ImageReference.Parse("registry.example/a:b").Value;

    [Fact]
    public void AddApplication_WhenNoPortIsThere_StillPassesStartUpValidation()
    {
        using ServiceProvider provider = Build(_ => { }, validate: true);

        provider.GetRequiredService<IServiceScopeFactory>().ShouldNotBeNull();
    }

    [Fact]
    public async Task Send_WhenAPortIsMissing_NamesIt()
    {
        using ServiceProvider provider = Build(_ => { });
        using IServiceScope scope = provider.CreateScope();

        InvalidOperationException failure = await Should.ThrowAsync<InvalidOperationException>(() => scope.ServiceProvider.GetRequiredService<IMediator>().Send(new NotifyImageCommand(Reference, [], false)));

        failure.ToString().ShouldContain("Starlight.Application.Abstractions.");
    }

    [Fact]
    public async Task Send_WhenRequestBreaksARule_FailsWithoutTheHandler()
    {
        Result<NotifyReport> result = await SendAsync(new Throwing(new InvalidOperationException("handler ran")), [.. Enumerable.Range(0, 40).Select(i => new Platform("linux", $"a{i}"))]);

        result.Error!.Code.ShouldBe("Notify.TooManyPlatforms");
        result.Error.Kind.ShouldBe(ErrorKind.InvalidInput);
    }

    [Fact]
    public async Task Send_WhenAnAdapterFails_GivesItsErrorAsResult()
    {
        Error error = new("Registry.Down", "no registry", ErrorKind.Unavailable);

        Result<NotifyReport> result = await SendAsync(new Throwing(new FailureException(error)), []);

        result.Error.ShouldBe(error);
    }

    [Fact]
    public async Task Send_WhenCancelledOrBuggy_LetsTheExceptionPass()
    {
        await Should.ThrowAsync<OperationCanceledException>(() => SendAsync(new Throwing(new OperationCanceledException()), []));
        await Should.ThrowAsync<DivideByZeroException>(() => SendAsync(new Throwing(new DivideByZeroException()), []));
    }

    private static async Task<Result<NotifyReport>> SendAsync(Throwing handler, IReadOnlyList<Platform> platforms)
    {
        await using ServiceProvider provider = Build(services => services.AddSingleton<IRequestHandler<NotifyImageCommand, Result<NotifyReport>>>(handler));
        await using AsyncServiceScope scope = provider.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<IMediator>().Send(new NotifyImageCommand(Reference, platforms, false));
    }

    private static ServiceProvider Build(Action<IServiceCollection> more, bool validate = false)
    {
        ServiceCollection services = new();
        services.AddSingleton(typeof(Microsoft.Extensions.Logging.ILogger<>), typeof(Microsoft.Extensions.Logging.Abstractions.NullLogger<>));
        services.AddApplication();
        more(services);
        return services.BuildServiceProvider(new ServiceProviderOptions { ValidateOnBuild = validate, ValidateScopes = true });
    }

    private sealed class Throwing(Exception exception) : IRequestHandler<NotifyImageCommand, Result<NotifyReport>>
    {
        public Task<Result<NotifyReport>> Handle(NotifyImageCommand request, CancellationToken cancellationToken) => Task.FromException<Result<NotifyReport>>(exception);
    }
}
