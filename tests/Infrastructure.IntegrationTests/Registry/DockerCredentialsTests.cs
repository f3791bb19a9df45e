using System.Text;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Registry;
using Starlight.Infrastructure.Registry.Authentication;
using static Starlight.Infrastructure.IntegrationTests.Registry.RegistryHarness;

namespace Starlight.Infrastructure.IntegrationTests.Registry;

[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class DockerCredentialsTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("starlight-docker-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("registry.example:5000", "registry.example:5000")]
    [InlineData("https://registry.example:5000", "registry.example:5000")]
    [InlineData("https://registry.example:5000/v1/", "registry.example:5000")]
    [InlineData("https://index.docker.io/v1/", "docker.io")]
    [InlineData("index.docker.io", "docker.io")]
    public async Task Find_KeysOfAllKinds_AreTheRegistrysHost(string key, string registry)
    {
        Write($$"""{"auths":{"{{key}}":{"auth":"{{Base64("bob:a:b")}}"} } }""");

        RegistryLogin? login = await FindAsync(registry);

        login.ShouldNotBeNull();
        (login.Username, login.Password).ShouldBe(("bob", "a:b"));
    }

    [Fact]
    public async Task Find_WhenAnotherRegistryIsMeant_IsNull()
    {
        Write($$"""{"auths":{"registry.example":{"auth":"{{Base64("bob:pw")}}"} } }""");

        (await FindAsync("registry.example:5000")).ShouldBeNull();
        (await FindAsync("registry.example.evil")).ShouldBeNull();
    }

    [Fact]
    public async Task Find_WithoutAFile_IsNull() => (await FindAsync("registry.example")).ShouldBeNull();

    [Fact]
    public async Task Find_WhenTheOptionsHaveALogin_PrefersIt()
    {
        Write($$"""{"auths":{"registry.example":{"auth":"{{Base64("bob:pw")}}"} } }""");
        RegistryOptions options = new()
        {
            DockerConfigDirectory = _directory,
            Credentials = new Dictionary<string, RegistryCredential>(StringComparer.Ordinal) { ["registry.example"] = new("carol", "pw2") },
        };

        (await new DockerCredentials(options).FindAsync("registry.example", CancellationToken.None))!.Username.ShouldBe("carol");
    }

    [Theory]
    [InlineData(".dockerconfigjson")]
    [InlineData("config.json")]
    public async Task Find_InAMountedSecret_FollowsItsRotation(string name)
    {
        string secret = Directory.CreateDirectory(Path.Combine(_directory, "secret")).FullName;
        DockerCredentials credentials = new(new RegistryOptions { DockerConfigDirectory = _directory, LoginFiles = [Path.Combine(_directory, "none"), secret] });
        Write($$"""{"auths":{"registry.example":{"auth":"{{Base64("bob:from-docker")}}"} } }""");
        (await credentials.FindAsync("registry.example", CancellationToken.None))!.Password.ShouldBe("from-docker");

        foreach (string password in new[] { "first", "second" })
        {
            await File.WriteAllTextAsync(Path.Combine(secret, name), $$"""{"auths":{"registry.example":{"auth":"{{Base64("bob:" + password)}}"} } }""");
            (await credentials.FindAsync("registry.example", CancellationToken.None))!.Password.ShouldBe(password);
        }
    }

    [Fact]
    public async Task Find_InASecretOfUsernameAndPassword_IsForItsRegistryOnly()
    {
        string secret = Directory.CreateDirectory(Path.Combine(_directory, "secret")).FullName;
        await File.WriteAllTextAsync(Path.Combine(secret, "username"), "bob\n");
        await File.WriteAllTextAsync(Path.Combine(secret, "password"), "p w\n");
        RegistryOptions options = new() { DockerConfigDirectory = _directory, SecretDirectories = new Dictionary<string, string>(StringComparer.Ordinal) { ["registry.example"] = secret } };

        RegistryLogin? login = await new DockerCredentials(options).FindAsync("registry.example", CancellationToken.None);

        (login!.Username, login.Password).ShouldBe(("bob", "p w"));
        (await new DockerCredentials(options).FindAsync("other.example", CancellationToken.None)).ShouldBeNull();
        File.Delete(Path.Combine(secret, "password"));
        (await FailureOfAsync(() => new DockerCredentials(options).FindAsync("registry.example", CancellationToken.None))).Message.ShouldContain(secret);
    }

    [Fact]
    public async Task Find_InTheEnvironmentsText_IsFound()
    {
        RegistryOptions options = new() { DockerConfigDirectory = _directory, LoginText = $$"""{"auths":{"registry.example":{"auth":"{{Base64("bob:pw")}}"} } }""" };

        (await new DockerCredentials(options).FindAsync("registry.example", CancellationToken.None))!.Password.ShouldBe("pw");
    }

    [Fact]
    public async Task Find_IdentityToken_IsARefreshToken()
    {
        Write($$"""{"auths":{"registry.example":{"auth":"{{Base64("00000000-0000-0000-0000-000000000000:")}}","identitytoken":"refresh"} } }""");

        (await FindAsync("registry.example"))!.IdentityToken.ShouldBe("refresh");
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{"auths":{"registry.example":{"auth":"***"}}}""")]
    [InlineData("""{"auths":{"registry.example":{"auth":"bm9jb2xvbg=="}}}""")]
    public async Task Find_WhenTheFileIsDamaged_FailsAndNamesIt(string json)
    {
        Write(json);

        Error error = await FailureOfAsync(() => FindAsync("registry.example"));

        error.Kind.ShouldBe(ErrorKind.FailedPrecondition);
        error.Message.ShouldContain(_directory);
    }

    [Fact]
    public async Task Find_WithAHelper_AsksItAboutTheRegistry()
    {
        string helper = Helper("""read server; printf '{"ServerURL":"%s","Username":"dave","Secret":"from-helper"}' "$server" """);
        Write($$"""{"credsStore":"none-such","credHelpers":{"registry.example":"{{helper}}"} }""");

        RegistryLogin? login = await FindAsync("registry.example");

        (login!.Username, login.Password).ShouldBe(("dave", "from-helper"));
        login.Origin.ShouldContain("registry.example");
    }

    [Fact]
    public async Task Find_WithAStore_AsksForDockerHubByItsOldAddress()
    {
        string seen = Path.Combine(_directory, "seen");
        string helper = Helper($$"""cat > {{seen}}; echo '{"Username":"<token>","Secret":"refresh"}' """);
        Write($$"""{"credsStore":"{{helper}}"}""");

        (await FindAsync("docker.io"))!.IdentityToken.ShouldBe("refresh");

        (await File.ReadAllTextAsync(seen)).ShouldBe("https://index.docker.io/v1/");
    }

    [Fact]
    public async Task Find_WhenTheHelperHasNone_IsNull()
    {
        Write($$"""{"credsStore":"{{Helper("echo 'credentials not found in native keychain'; exit 1")}}"}""");

        (await FindAsync("registry.example")).ShouldBeNull();
    }

    [Theory]
    [InlineData("echo broken >&2; exit 3")]
    [InlineData("echo 'no json s3cret'")]
    public async Task Find_WhenTheHelperFails_SaysSoWithoutItsOutput(string script)
    {
        Write($$"""{"credsStore":"{{Helper(script)}}"}""");

        Error error = await FailureOfAsync(() => FindAsync("registry.example"));

        error.Code.ShouldBe("Registry.CredentialHelperFailed");
        error.Message.ShouldNotContain("s3cret");
    }

    [Theory]
    [InlineData("../evil")]
    [InlineData("a b")]
    [InlineData("missing-helper")]
    public async Task Find_WhenTheHelperIsNoProgramOnThePath_Fails(string name)
    {
        Write($$"""{"credsStore":"{{name}}"}""");

        (await FailureOfAsync(() => FindAsync("registry.example"))).Code.ShouldBe("Registry.CredentialHelperFailed");
    }

    [Fact]
    public void Credential_AsText_HidesTheSecret() => new RegistryCredential("bob", "pw").ToString().ShouldBe("bob:***");

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private void Write(string json) => File.WriteAllText(Path.Combine(_directory, "config.json"), json);

    /// <summary>A helper of a unique name, on the PATH for the rest of this process; its directory goes away with the test.</summary>
    private string Helper(string script)
    {
        string name = "starlight-" + Guid.NewGuid().ToString("N");
        string path = Path.Combine(_directory, "docker-credential-" + name);
        File.WriteAllText(path, "#!/bin/sh\n[ \"$1\" = get ] || exit 9\n" + script + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        Environment.SetEnvironmentVariable("PATH", $"{_directory}:{Environment.GetEnvironmentVariable("PATH")}");
        return name;
    }

    private Task<RegistryLogin?> FindAsync(string registry) =>
        new DockerCredentials(new RegistryOptions { DockerConfigDirectory = _directory }).FindAsync(registry, CancellationToken.None);
}
