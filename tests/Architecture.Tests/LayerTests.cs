using Mono.Cecil;
using Starlight.Architecture.Tests.Laws;
using Starlight.Architecture.Tests.Rules;

namespace Starlight.Architecture.Tests;

/// <summary>Who may know whom: Domain ← Application ← Infrastructure ← Presentation (docs/architecture.md).</summary>
public sealed class LayerTests
{
    private static readonly string[] FilesAndNetwork =
    [
        "System.IO.File", "System.IO.FileStream", "System.IO.FileInfo", "System.IO.Directory", "System.IO.DirectoryInfo", "System.IO.RandomAccess",
        "System.Net", "System.Diagnostics.Process", "System.Console",
    ];

    [Fact]
    public void Domain_NeedsOnlyTheFramework() => DependencyLaws.ReferencesOnly(Product.Domain);

    [Fact]
    public void Domain_DoesNoInputOrOutput() =>
        DependencyLaws.MentionsNone("the domain touches no file, no network, no process and no console", Product.Domain.Written(), FilesAndNetwork);

    [Fact]
    public void Application_NeedsOnlyTheDomainAndItsFewPackages() => DependencyLaws.ReferencesOnly(
        Product.Application,
        "Starlight.Domain", "MediatR", "FluentValidation", "Scrutor", "Microsoft.Extensions.DependencyInjection.Abstractions", "Microsoft.Extensions.Logging.Abstractions");

    [Fact]
    public void Application_ReachesFilesAndNetworkThroughPorts() =>
        DependencyLaws.MentionsNone("use cases touch no file, no network, no process and no console: they have ports", Product.Application.Written(), FilesAndNetwork);

    [Fact]
    public void DomainAndApplication_TakeTheClockAsAnArgument() => DependencyLaws.CallsNone(
        "no static clock and no chance: TimeProvider is injected",
        [.. Product.Domain.Written(), .. Product.Application.Written()],
        "System.DateTime::get_UtcNow", "System.DateTime::get_Now", "System.DateTimeOffset::get_UtcNow", "System.DateTimeOffset::get_Now",
        "System.Diagnostics.Stopwatch::StartNew", "System.Diagnostics.Stopwatch::GetTimestamp", "System.Guid::NewGuid", "System.Random::get_Shared");

    [Fact]
    public void DomainAndApplication_AreToldAboutTheMachine() => DependencyLaws.CallsNone(
        "nothing of the process's surroundings is read where it cannot be given otherwise",
        [.. Product.Domain.Written(), .. Product.Application.Written()],
        "System.Environment::GetEnvironmentVariable", "System.Environment::get_MachineName", "System.Environment::get_CurrentDirectory", "System.Environment::Exit",
        "System.IO.Path::GetTempPath", "System.AppContext::get_BaseDirectory");

    [Fact]
    public void InnerLayers_DoNotKnowOuterOnes()
    {
        DependencyLaws.ReferencesNone([Product.Domain], "Starlight.Application", "Starlight.Infrastructure", "starlight-proxy", "starlight-daemon", "ctr-starlight");
        DependencyLaws.ReferencesNone([Product.Application], "Starlight.Infrastructure", "starlight-proxy", "starlight-daemon", "ctr-starlight");
        DependencyLaws.ReferencesNone([Product.Infrastructure], "starlight-proxy", "starlight-daemon", "ctr-starlight");
    }

    [Fact]
    public void Programs_DoNotKnowEachOther() => DependencyLaws.ReferencesNone(Product.Presentation, "starlight-proxy", "starlight-daemon", "ctr-starlight");

    [Fact]
    public void EntityFramework_StaysInPersistence() => DependencyLaws.MentionsNone(
        "EF Core and IQueryable only in Infrastructure.Persistence",
        Product.All.Written().NotIn("Starlight.Infrastructure.Persistence"),
        "Microsoft.EntityFrameworkCore", "Npgsql.EntityFrameworkCore", "System.Linq.IQueryable", "System.Linq.IQueryable`1");

    [Fact]
    public void EntityFramework_IsWhatPersistenceUses() =>
        Product.Infrastructure.Written().In("Starlight.Infrastructure.Persistence").SelectMany(Mentions.Of).ShouldContain("Microsoft.EntityFrameworkCore.DbContext");

    [Fact]
    public void CommandLine_KnowsNoDatabase() => DependencyLaws.MentionsNone(
        "the command line starts fast and keeps nothing: no EF, no database",
        Product.Cli.Written(),
        "Microsoft.EntityFrameworkCore", "Microsoft.Data.Sqlite", "Npgsql", "Starlight.Infrastructure.Persistence");

    [Fact]
    public void MediatR_StaysInApplicationAndPresentation() => DependencyLaws.MentionsNone(
        "MediatR only in Application and Presentation",
        [.. Product.Domain.Written(), .. Product.Infrastructure.Written()],
        "MediatR", "FluentValidation");

    [Fact]
    public void MediatR_IsWhatApplicationUses() => Product.Application.Written().SelectMany(Mentions.Of).ShouldContain("MediatR.IRequest`1");
}
