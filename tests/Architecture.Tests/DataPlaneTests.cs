using Mono.Cecil;
using Starlight.Architecture.Tests.Laws;
using Starlight.Architecture.Tests.Rules;

namespace Starlight.Architecture.Tests;

/// <summary>The border between the control plane (clean architecture, mediator, EF) and the data plane (spans, pipes, concrete types): ADR 0002.</summary>
public sealed class DataPlaneTests
{
    public static TheoryData<string> Spaces => new(["Bundles", "Compression", "Contents", "Erofs", "Fuse", "Images.EStargz", "Images.Gzip", "Images.Layers", "Images.Tar", "Mounts", "Objects"]);

    /// <summary>Files outside Native that hold pointers, each with why.</summary>
    private static readonly Dictionary<string, string> Pointers = new(StringComparer.Ordinal)
    {
        ["src/Infrastructure/Compression/ZstdCompressor.cs"] = "pins the caller's spans for one call of libzstd",
        ["src/Infrastructure/Compression/ZstdDecompressor.cs"] = "pins the caller's spans for one call of libzstd",
        ["src/Infrastructure/Compression/ZstdCompressionStream.cs"] = "pins the caller's spans for one call of libzstd",
        ["src/Infrastructure/Objects/ObjectStore.cs"] = "builds NUL-terminated names on the stack: no allocation per object",
        ["src/Infrastructure/Fuse/ArrivalGate.cs"] = "reads requests into memory that does not move while the kernel writes to it",
    };

    [Theory]
    [MemberData(nameof(Spaces))]
    public void DataPlane_KnowsNoControlPlaneMachinery(string space) => DependencyLaws.MentionsNone(
        $"Infrastructure.{space} is data plane: no mediator, no EF, no validation framework, no service location",
        [.. In(space).Where(t => !IsDoor(t))],
        "MediatR", "FluentValidation", "Microsoft.EntityFrameworkCore", "Scrutor", "System.IServiceProvider");

    [Theory]
    [MemberData(nameof(Spaces))]
    public void DataPlane_KnowsNoTransport(string space) => DependencyLaws.MentionsNone(
        $"Infrastructure.{space} is data plane: bytes come and go as streams and pipes",
        In(space),
        "Starlight.Infrastructure.Grpc", "Starlight.Infrastructure.Registry", "Starlight.Infrastructure.Persistence", "Starlight.Infrastructure.ProxyClient", "Starlight.Infrastructure.Containerd", "System.Net.Http");

    [Theory]
    [MemberData(nameof(Spaces))]
    public void DataPlane_ConcreteTypesAreSealed(string space) => CodeLaws.ConcreteTypesAreSealed(In(space));

    [Fact]
    public void NativeCalls_LiveInNative() => CodeLaws.NativeCallsLiveInNative(Product.All.Written());

    [Fact]
    public void Pointers_LiveInNativeOrAreListed() => CodeLaws.PointersLiveInNative(SourceTree.Files("src"), SourceTree.Lines, Pointers);

    /// <summary>Where an adapter is registered: <c>services.Add…()</c>, run once at start.</summary>
    private static bool IsDoor(TypeDefinition type) =>
        type.Methods.Any(m => m.IsStatic && m.IsPublic && m.Parameters.FirstOrDefault()?.ParameterType.FullName == "Microsoft.Extensions.DependencyInjection.IServiceCollection");

    private static IReadOnlyList<TypeDefinition> In(string space) => Product.Infrastructure.Written().In($"Starlight.Infrastructure.{space}");
}
