using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Access;

internal static class AccessErrors
{
    public static readonly Error CredentialsMissing = new(
        "Access.CredentialsMissing", "this proxy wants a login: give the profile a user name and password or a token with ctr-starlight add-proxy", ErrorKind.Unauthenticated);

    /// <summary>The same for an unknown name and a wrong password: who guesses learns nothing.</summary>
    public static readonly Error CredentialsWrong = new(
        "Access.CredentialsWrong", "this proxy does not know the user name, password or token: correct them with ctr-starlight add-proxy", ErrorKind.Unauthenticated);

    public static Error RoleMissing(Account account, string role) => new(
        "Access.RoleMissing", $"account {account} does not have the role '{role}' at this proxy: ask its operator", ErrorKind.PermissionDenied);

    /// <summary>The proxy's logins would be sent to whoever answers, and refills would go on doing so.</summary>
    public static Error InsecureDenied(Account account) => new(
        "Access.InsecureDenied", $"account {account} may not have images read without checking who sends them: that takes the role admin", ErrorKind.PermissionDenied);

    /// <summary>Depends on the account alone, not on what the proxy has: it tells nobody whether the image exists (ADR 0022).</summary>
    public static Error ImageDenied(Account account, ImageReference reference) => new(
        "Access.ImageDenied", $"account {account} may not use images of {reference.Name} at this proxy: ask its operator", ErrorKind.PermissionDenied);
}
