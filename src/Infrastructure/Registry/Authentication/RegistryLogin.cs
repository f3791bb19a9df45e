namespace Starlight.Infrastructure.Registry.Authentication;

/// <summary>What a user has for one registry: a name and password, or a token. A class, so that no generated text form shows the secret.</summary>
internal sealed class RegistryLogin
{
    public string? Username { get; init; }

    public string? Password { get; init; }

    /// <summary>An OAuth 2 refresh token (docker: <c>identitytoken</c>, or a helper's user name <c>&lt;token&gt;</c>).</summary>
    public string? IdentityToken { get; init; }

    /// <summary>A bearer token to send as it is (docker: <c>registrytoken</c>).</summary>
    public string? RegistryToken { get; init; }

    /// <summary>Where it was found, for messages.</summary>
    public required string Origin { get; init; }

    public bool HasPassword => Username is not null && Password is not null;

    public string BasicParameter => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{Username}:{Password}"));

    public override string ToString() => Origin;
}
