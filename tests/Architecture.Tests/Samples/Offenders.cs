// Small types that break the laws on purpose, one law each, beside ones that keep it. Read as IL by LawTests; nothing here runs.
using System.Runtime.InteropServices;
using FluentValidation;
using MediatR;
using Starlight.Domain.SharedKernel;

#pragma warning disable MA0040, CA1822, S1144, CA1812, MA0155, VSTHRD100, CA1852
namespace Starlight.Architecture.Tests.Samples
{
    internal sealed class ReadsAFile
    {
        public string InABody() => File.ReadAllText("/etc/hostname");
    }

    internal sealed class ReadsAFileLater
    {
        public async Task<int> InAStateMachine()
        {
            await Task.Yield();
            Func<string> inAClosure = () => File.ReadAllText("/etc/hostname");
            return inAClosure().Length;
        }
    }

    internal sealed class ReadsNoFile
    {
        public int Length(string text) => text.Length;
    }

    internal sealed class NeedsOneInASignature
    {
        public List<FileInfo>? Files { get; set; }
    }

    internal sealed class LooksAtTheClock
    {
        public DateTimeOffset Now => DateTimeOffset.UtcNow;
    }

    internal sealed class StartsAndForgets
    {
        public async void Start() => await Task.Yield();
    }

    internal class Unsealed;

    internal static partial class CallsLibc
    {
        [DllImport("libc", EntryPoint = "getpid")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int GetPid();
    }

    internal interface IPortOfNobody;

    internal interface IPort;

    internal sealed class Adapter : IPort;
}

namespace Starlight.Architecture.Tests.Samples.Native
{
    internal static partial class CallsLibcToo
    {
        [DllImport("libc", EntryPoint = "getppid")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int GetParentPid();
    }
}

namespace Starlight.Architecture.Tests.Samples.Helpers
{
    internal sealed class Whatever;
}

namespace Starlight.Architecture.Tests.Samples.UseCases
{
    public sealed record GoodCommand : IRequest<Result>;

    public sealed record GoodQuery : IRequest<Result<int>>;

    public sealed record OrphanCommand : IRequest<Result>;

    public sealed record ContestedCommand : IRequest<Result>;

    public sealed record Strange : IRequest<string>;

    internal sealed class GoodHandler : IRequestHandler<GoodCommand, Result>, IRequestHandler<GoodQuery, Result<int>>
    {
        public Task<Result> Handle(GoodCommand request, CancellationToken cancellationToken) => Task.FromResult(Result.Success);

        public Task<Result<int>> Handle(GoodQuery request, CancellationToken cancellationToken) => Task.FromResult(Result<int>.Success(1));
    }

    public sealed class PublicHandler : IRequestHandler<ContestedCommand, Result>
    {
        public Task<Result> Handle(ContestedCommand request, CancellationToken cancellationToken) => Task.FromResult(Result.Success);
    }

    internal class OpenHandler : IRequestHandler<ContestedCommand, Result>
    {
        public Task<Result> Handle(ContestedCommand request, CancellationToken cancellationToken) => Task.FromResult(Result.Success);
    }

    internal sealed class StrangeHandler : IRequestHandler<Strange, string>
    {
        public Task<string> Handle(Strange request, CancellationToken cancellationToken) => Task.FromResult("");
    }

    internal sealed class GoodValidator : AbstractValidator<GoodCommand>;

    public sealed class PublicValidator : AbstractValidator<OrphanCommand>;
}

namespace Starlight.Architecture.Tests.Samples.Errors
{
    internal static class Codes
    {
        public static Error Good(bool what) => new("Sample.Good", what ? "one" : "two", ErrorKind.NotFound);

        public static Error Bad() => new("no such thing", "a code that is a sentence", ErrorKind.NotFound);

        public static Error OtherKind() => new("Sample.Good", "the same code with another meaning", ErrorKind.Internal);

        public static Error Computed(int number) => new("Sample.N" + number, "a code that no program can look for", ErrorKind.Internal);

        public static Error ThroughAHelper() => Helped("also bad");

        private static Error Helped(string code) => new(code, "made here for others", ErrorKind.Internal);
    }
}
