using Microsoft.Extensions.Logging;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy;

public sealed class SettingsTests : IDisposable
{
    private readonly ScratchDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Resolve_WhenNothingIsSet_HasTheDocumentedDefaults()
    {
        ProxySettings settings = SettingsSources.Resolve(new CommandLineSettings { Config = Write("{}") }, _ => null);

        (settings.Host, settings.Port, settings.LogLevel).ShouldBe(("0.0.0.0", 8090, LogLevel.Information));
        (settings.DataDirectory, settings.Database).ShouldBe(("/var/lib/starlight-proxy", "/var/lib/starlight-proxy/catalog.db"));
        settings.Registries.DefaultRegistry.ShouldBe("docker.io");
    }

    [Theory]
    [InlineData("1111", "2222", 3333, 1111)]
    [InlineData(null, "2222", 3333, 2222)]
    [InlineData(null, null, 3333, 3333)]
    [InlineData(null, "", 3333, 3333)]
    [InlineData(null, null, null, 8090)]
    public void Resolve_ForEachSource_TakesTheNearest(string? flag, string? variable, int? file, int expected)
    {
        string config = Write(file is null ? "{}" : $$"""{"port": {{file}}}""");
        Dictionary<string, string?> environment = new() { ["STARLIGHT_PORT"] = variable, ["STARLIGHT_PROXY_CONFIG"] = config };

        SettingsSources.Resolve(new CommandLineSettings { Port = flag }, name => environment.GetValueOrDefault(name)).Port.ShouldBe(expected);
    }

    [Fact]
    public void Resolve_WhenEverythingIsInTheEnvironment_UsesTheNamesUsersKnow()
    {
        Dictionary<string, string?> environment = new()
        {
            ["STARLIGHT_PROXY_CONFIG"] = Write("{}"),
            ["STARLIGHT_HOST"] = "::1",
            ["LOG_LEVEL"] = "debug",
            ["DB_CONNECTION_STRING"] = "postgres://db/x",
            ["REGISTRY"] = "registry:5000",
        };

        ProxySettings settings = SettingsSources.Resolve(new CommandLineSettings(), name => environment.GetValueOrDefault(name));

        (settings.Host, settings.LogLevel, settings.Database, settings.Registries.DefaultRegistry).ShouldBe(("::1", LogLevel.Debug, "postgres://db/x", "registry:5000"));
    }

    [Fact]
    public void Resolve_WhenFileIsOfAnEarlierVersion_IsUnderstood()
    {
        string config = Write("""
            { "port": 8091, "address": "127.0.0.1", "log_level": "warn", "postgres": "postgres://postgres:postgres@localhost:5432/postgres?sslmode=disable",
              "default_registry": "127.0.0.1:9000", "default_registry_alias": ["localhost:9000"], "cache_timeout": 3600 }
            """);

        ProxySettings settings = SettingsSources.Resolve(new CommandLineSettings { Config = config }, _ => null);

        settings.Port.ShouldBe(8091);
        settings.Notes.ShouldHaveSingleItem().ShouldContain("cache_timeout");
        settings.Registries.Parse("localhost:9000/team/app:v1").Value.ToString().ShouldBe("127.0.0.1:9000/team/app:v1");
        settings.Registries.Parse("team/app:v1").Value.ToString().ShouldBe("127.0.0.1:9000/team/app:v1");
        settings.Registries.Parse("other:9000/team/app:v1").Value.ToString().ShouldBe("other:9000/team/app:v1");
    }

    [Fact]
    public void Resolve_WhenFileBeginsWithAByteOrderMark_IsUnderstood() =>
        SettingsSources.Resolve(new CommandLineSettings { Config = Write("\uFEFF{\"port\": 1}") }, _ => null).Port.ShouldBe(1);

    [Theory]
    [InlineData("200GB", 200_000_000_000)]
    [InlineData("1.5 GiB", 1_610_612_736)]
    [InlineData("8mb", 8_000_000)]
    [InlineData("1048576", 1_048_576)]
    [InlineData("none", long.MaxValue)]
    public void Resolve_OfAStoreLimit_KnowsItsUnits(string limit, long bytes) =>
        SettingsSources.Resolve(new CommandLineSettings { Config = Write("{}"), StoreLimit = limit }, _ => null).StoreLimitBytes.ShouldBe(bytes);

    [Fact]
    public void Resolve_OfAStoreLimitInPercent_IsThatMuchOfTheDisk()
    {
        long whole = Limit("100%");

        whole.ShouldBe(new DriveInfo(_directory.Path).TotalSize);
        ((double)Limit("25.5%")).ShouldBe(whole * 0.255, tolerance: 1);

        long Limit(string limit) => SettingsSources.Resolve(new CommandLineSettings { Config = Write("{}"), DataDirectory = _directory["not/yet"], StoreLimit = limit }, _ => null).StoreLimitBytes;
    }

    [Theory]
    [InlineData("")]
    [InlineData("much")]
    [InlineData("0%")]
    [InlineData("101%")]
    [InlineData("-1GB")]
    [InlineData("1KB")]
    [InlineData("1e9GB")]
    [InlineData("99999999TB")]
    [InlineData("NaN%")]
    public void Resolve_OfAStoreLimitThatIsNone_SaysHowToWriteIt(string limit) =>
        Should.Throw<FailureException>(() => SettingsSources.Resolve(new CommandLineSettings { Config = Write("{}"), StoreLimit = limit }, _ => null)).Message.ShouldContain("(200GB)");

    [Theory]
    [InlineData("""{"prot": 1}""", "'prot'")]
    [InlineData("""{"port": "8090"}""", "'port' must be a whole number")]
    [InlineData("""{"port": 70000}""", "'70000' is not a port")]
    [InlineData("""{"log_level": "loud"}""", "'loud' is not a log level")]
    [InlineData("""{"default_registry": "a b"}""", "'a b' is not a registry")]
    [InlineData("""{"default_registry_alias": "x"}""", "must be a list")]
    [InlineData("""{"bundle_cache_mb": 0}""", "at least 1")]
    [InlineData("""{"prepare_bundles": -1}""", "at least 0")]
    [InlineData("""{"tls_key": "key.pem"}""", "both a certificate and its key")]
    [InlineData("""{"log_format": "xml"}""", "'xml' is not a log format")]
    [InlineData("""{"rate_limit": -1}""", "'rate_limit' must be at least 0")]
    [InlineData("""{"registries": {"r.example": {"user": "x"}}}""", "the key 'user'")]
    [InlineData("""{"registries": {"r.example": {"username": "x"}}}""", "username and password")]
    [InlineData("""{"registries": {"https://r.example": {}}}""", "not a registry")]
    [InlineData("""{"registries": {"r.example": {"mirrors": ["m.example/path"]}}}""", "'m.example/path'")]
    [InlineData("""{"port": """, "not JSON")]
    [InlineData("[]", "not a JSON object")]
    public void Resolve_WhenFileIsWrong_SaysWhat(string json, string message)
    {
        FailureException failure = Should.Throw<FailureException>(() => SettingsSources.Resolve(new CommandLineSettings { Config = Write(json) }, _ => null));

        failure.Error.Code.ShouldBe("Config.Malformed");
        failure.Message.ShouldContain(message);
    }

    [Fact]
    public void Resolve_LoginsAndMirrorsOfRegistries_ComeFromFileAndEnvironment()
    {
        string config = Write("""
            { "default_registry": "own.example:5000",
              "registries": { "a.example": { "username": "u", "password": "p", "mirrors": ["m.example", "http://n.example:5000"] }, "b.example": { "secret": "/run/secrets/b" } },
              "registry_logins": ["/run/secrets/pull"] }
            """);
        Dictionary<string, string?> environment = new() { ["STARLIGHT_REGISTRY_USERNAME"] = "e", ["STARLIGHT_REGISTRY_PASSWORD"] = "s", ["DOCKER_AUTH_CONFIG"] = "{}" };

        Infrastructure.Registry.RegistryOptions access = SettingsSources.Resolve(new CommandLineSettings { Config = config }, name => environment.GetValueOrDefault(name)).RegistryAccess;

        access.Credentials.ToDictionary(c => c.Key, c => $"{c.Value.Username}:{c.Value.Password}").ShouldBe(new Dictionary<string, string> { ["a.example"] = "u:p", ["own.example:5000"] = "e:s" }, ignoreOrder: true);
        access.SecretDirectories.ShouldBe(new Dictionary<string, string> { ["b.example"] = "/run/secrets/b" });
        access.Mirrors["a.example"].ShouldBe(["m.example", "http://n.example:5000"]);
        (access.LoginFiles.ShouldHaveSingleItem(), access.LoginText).ShouldBe(("/run/secrets/pull", "{}"));
    }

    [Fact]
    public void Resolve_WhenNamedFileIsMissing_Fails() =>
        Should.Throw<FailureException>(() => SettingsSources.Resolve(new CommandLineSettings { Config = "/no/such/file" }, _ => null)).Error.Code.ShouldBe("Config.Missing");

    private string Write(string json)
    {
        string path = _directory[$"{Guid.NewGuid():N}.json"];
        File.WriteAllText(path, json);
        return path;
    }
}
