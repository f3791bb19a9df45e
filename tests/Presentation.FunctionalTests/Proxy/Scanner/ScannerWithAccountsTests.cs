using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Starlight.Presentation.Proxy.Access;
using Starlight.TestKit;

namespace Starlight.Presentation.FunctionalTests.Proxy.Scanner;

/// <summary>Registries have no account: the scanner's secret is no login, right or wrong.</summary>
public sealed class ScannerWithAccountsTests
{
    /// <summary>More than an address is forgiven wrong passwords.</summary>
    private const int Many = 50;

    [Fact]
    public async Task Push_WhenTheProxyHasAccounts_IsConvertedAndLocksNobodyOut()
    {
        using ScratchDirectory directory = new();
        new AccountsFile { Accounts = [new AccountEntry { Name = "edge", Roles = [Roles.Pull], Password = PasswordHash.Create("secret", 10_000).ToString() }] }.Write(directory["accounts"]);
        await using ScannerRig rig = await ScannerRig.StartAsync();
        rig.Proxy.Flags = rig.Proxy.Flags with { Accounts = directory["accounts"] };
        await rig.Proxy.RestartAsync();
        await rig.ConnectAsync();
        using ImagePusher pusher = new(rig.Registry.Host, "test/app");

        await pusher.ImageAsync("v1", [ProxyFixture.Layer(1)]);
        await rig.JobAsync("test/app:v1", "done");
        for (int i = 0; i < Many; i++)
        {
            await rig.AcceptAsync("""{"events": []}""", authorization: Basic("registry", ScannerRig.Secret));
            using HttpResponseMessage refused = await rig.SendAsync("""{"events": []}""", authorization: Basic("edge", "wrong"));
            (await RunningProxy.ProblemAsync(refused)).Code.ShouldBe("Scanner.SecretWrong");
        }

        using HttpRequestMessage request = new(HttpMethod.Get, $"/starlight/delta?platform=linux/amd64&to={rig.Registry.Host}/test/app:v1-starlight");
        request.Headers.Authorization = AuthenticationHeaderValue.Parse(Basic("edge", "secret"));
        using HttpResponseMessage answer = await rig.Proxy.Http.SendAsync(request);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    private static string Basic(string name, string password) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{password}"));
}
