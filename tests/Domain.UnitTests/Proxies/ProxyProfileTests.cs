using Starlight.Domain.Proxies;

namespace Starlight.Domain.UnitTests.Proxies;

public sealed class ProxyProfileTests
{
    [Theory]
    [InlineData("http", "127.0.0.1:8090", "http://127.0.0.1:8090/")]
    [InlineData("https", "proxy.example.com", "https://proxy.example.com/")]
    [InlineData("https", "proxy.example.com/starlight/", "https://proxy.example.com/starlight/")]
    public void Create_WhenWellFormed_BuildsTheEndpoint(string protocol, string address, string endpoint) =>
        ProxyProfile.Create("p", protocol, address, null, null).Value.Endpoint.ToString().ShouldBe(endpoint);

    [Theory]
    [InlineData("", "http", "h")]
    [InlineData("a b", "http", "h")]
    [InlineData("p", "ftp", "h")]
    [InlineData("p", "http", "")]
    [InlineData("p", "http", "user:secret@host")]
    [InlineData("p", "http", "host?x=1")]
    [InlineData("p", "http", "host:port")]
    public void Create_WhenMalformed_Refuses(string name, string protocol, string address) =>
        ProxyProfile.Create(name, protocol, address, null, null).Error!.Code.ShouldBe("Proxy.ProfileInvalid");

    [Fact]
    public void ToString_Always_HidesThePassword()
    {
        ProxyProfile profile = ProxyProfile.Create("p", "https", "h", "me", "secret").Value;

        profile.User.ShouldBe("me");
        profile.ToString().ShouldNotContain("secret");
    }
}
