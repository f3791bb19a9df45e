using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Scanning;
using Starlight.Presentation.Proxy.Settings;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy.Scanner;

public sealed class ScannerSettingsTests : IDisposable
{
    private const string Rules = """ "rules": [{"source": "a/*:*"}] """;

    private readonly ScratchDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Scanner_WhenItIsNotConfigured_SaysSo()
    {
        await using RunningProxy proxy = await RunningProxy.StartAsync();

        foreach (HttpMethod method in new[] { HttpMethod.Post, HttpMethod.Get })
        {
            using HttpRequestMessage request = new(method, method == HttpMethod.Post ? "/scanner" : "/scanner/jobs");
            (int status, string code, string detail) = await RunningProxy.ProblemAsync(await proxy.Http.SendAsync(request));
            (status, code).ShouldBe((501, "Scanner.NotSetUp"));
            detail.ShouldContain("docs/webhooks.md");
        }
    }

    [Fact]
    public async Task Scanner_OnLoopbackWithoutASecret_AsksForNone()
    {
        await using ScannerRig rig = await ScannerRig.StartAsync(secret: false);

        await rig.AcceptAsync("""{"events": []}""", authorization: null);
    }

    [Theory]
    [InlineData("0.0.0.0", null, false)]
    [InlineData("*", null, false)]
    [InlineData("10.0.0.1", null, false)]
    [InlineData("registry.example", null, false)]
    [InlineData("::", null, false)]
    [InlineData("127.0.0.1", null, true)]
    [InlineData("127.1.2.3", null, true)]
    [InlineData("::1", null, true)]
    [InlineData("localhost", null, true)]
    [InlineData("0.0.0.0", "0123456789abcdef", true)]
    [InlineData("0.0.0.0", "0123456789abcde", false)]
    [InlineData("127.0.0.1", "short", false)]
    public void Resolve_ForEachAddress_DemandsASecretBeyondLoopback(string host, string? secret, bool starts)
    {
        CommandLineSettings flags = new() { Host = host, Config = Write($$"""{"scanner": { {{Rules}} } }""") };
        Func<ProxySettings> resolve = () => SettingsSources.Resolve(flags, name => name == "STARLIGHT_SCANNER_SECRET" ? secret : null);

        if (starts)
        {
            resolve().Scanner!.Secret.ShouldBe(secret);
        }
        else
        {
            Should.Throw<FailureException>(() => resolve()).Error.ShouldSatisfyAllConditions(e => e.Code.ShouldBe("Config.Malformed"), e => e.Message.ShouldContain("secret"));
        }
    }

    [Fact]
    public void Resolve_WhenTheSecretIsInAFile_ReadsIt()
    {
        string secret = _directory["secret"];
        File.WriteAllText(secret, "0123456789abcdef-of-a-file\n");

        ProxySettings settings = SettingsSources.Resolve(new CommandLineSettings { Config = Write($$"""{"scanner": {"secret_file": "{{secret}}", {{Rules}} } }""") }, _ => null);

        settings.Scanner!.Secret.ShouldBe("0123456789abcdef-of-a-file");
        settings.ToString().ShouldNotContain("of-a-file");
    }

    [Fact]
    public void Options_AllowTheDefaultRegistryAndThoseNamed()
    {
        ProxySettings settings = SettingsSources.Resolve(
            new CommandLineSettings
            {
                Host = "127.0.0.1",
                Config = Write($$"""{"default_registry": "main.example", "default_registry_alias": ["other"], "scanner": {"registries": ["harbor.example:8443"], "insecure_registries": ["lab:5000"], {{Rules}} } }"""),
            },
            _ => null);

        Application.Scanner.ScannerOptions options = settings.Scanner!.ToOptions(settings.Registries);
        options.Registries.ShouldBe(["main.example", "harbor.example:8443"], ignoreOrder: true);
        options.InsecureRegistries.ShouldBe(["lab:5000"]);
    }

    [Theory]
    [InlineData("[]", "must be an object")]
    [InlineData("{}", "no 'rules'")]
    [InlineData("""{"rules": []}""", "no 'rules'")]
    [InlineData("""{"rules": {}}""", "must be a list")]
    [InlineData("""{"rules": [5]}""", "must be an object")]
    [InlineData("""{"rules": [{}]}""", "without 'source'")]
    [InlineData("""{"rules": [{"source": ""}]}""", "must be a string")]
    [InlineData("""{"rules": [{"source": "a b"}]}""", "not a source pattern")]
    [InlineData("""{"rules": [{"source": "a", "target": "b"}]}""", "the key 'target'")]
    [InlineData("""{"rules": [{"source": "a", "destination": "{repository}:{tag}"}]}""", "the source itself")]
    [InlineData("""{"rules": [{"source": "a", "action": "convert"}]}""", "names no 'destination'")]
    [InlineData("""{"rules": [{"source": "a", "action": "index", "destination": "b:c"}]}""", "its action is index")]
    [InlineData("""{"rules": [{"source": "a", "action": "burn"}]}""", "the action 'burn'")]
    [InlineData("""{"rules": [{"source": "a", "platforms": ["linux"]}]}""", "not a platform")]
    [InlineData("""{"rules": [{"source": "a"}], "parallel": 0}""", "from 1 to 16")]
    [InlineData("""{"rules": [{"source": "a"}], "registries": ["team/app"]}""", "not a registry")]
    [InlineData("""{"rules": [{"source": "a"}], "registries": ["registry"]}""", "not a registry")]
    [InlineData("""{"rules": [{"source": "a"}], "secret_file": "/no/such/file"}""", "cannot be read")]
    [InlineData("""{"rules": [{"source": "a"}], "sekret": "x"}""", "no key 'sekret'")]
    public void Resolve_WhenScannerIsWrong_SaysWhat(string scanner, string message)
    {
        FailureException failure = Should.Throw<FailureException>(() => SettingsSources.Resolve(new CommandLineSettings { Host = "127.0.0.1", Config = Write($$"""{"scanner": {{scanner}} }""") }, _ => null));

        failure.Error.Code.ShouldBe("Config.Malformed");
        failure.Message.ShouldContain(message);
    }

    /// <summary>Whatever comes in: an answer, never a fault. Damaged notifications as well as pure noise.</summary>
    [Fact]
    public void Read_OfAnyBytes_NeverThrows()
    {
        WebhookReader reader = new(new RegistryNames("r.example", []));
        byte[] sound = """{"events":[{"id":"1","action":"push","target":{"digest":"sha256:aaaa","repository":"a","tag":"b","url":"http://r.example/v2/"},"request":{"host":"x"}}],"type":"PUSH_ARTIFACT","data":{"resources":[{"tag":"a","resource_url":"a/b:c"}]}}"""u8.ToArray();
        Gen<byte[]> damaged = from at in Gen.Choose(0, sound.Length - 1) from value in Gen.Choose(0, 255) from length in Gen.Choose(0, sound.Length) select Damage(sound, at, (byte)value, length);
        Gen<string> type = Gen.Elements("application/json", ScannerRig.DistributionV1, "application/cloudevents+json");
        Prop.ForAll(type.ToArbitrary(), Gen.OneOf(damaged, Gen.Choose(0, 255).Select(b => (byte)b).ArrayOf()).ToArbitrary(), (mediaType, body) =>
        {
            Result<WebhookContent> read = reader.Read(mediaType, body);
            return read.IsSuccess || read.Error.Code == "Scanner.EventMalformed";
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));
    }

    private static byte[] Damage(byte[] sound, int at, byte value, int length)
    {
        byte[] copy = [.. sound];
        copy[at] = value;
        return copy[..Math.Max(length, sound.Length / 2)];
    }

    private string Write(string json)
    {
        string path = _directory[$"{Guid.NewGuid():N}.json"];
        File.WriteAllText(path, json);
        return path;
    }
}
