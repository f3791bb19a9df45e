using System.Security.Claims;
using Starlight.Domain.References;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>Who asks: a worker, a build machine, a person. Has a password, a token or both.</summary>
internal sealed class Account
{
    /// <summary>Everybody, on a proxy without accounts.</summary>
    public static readonly Account Open = new("", Access.Roles.All, RepositoryPatterns.All, password: null, tokenDigest: null);

    public Account(string name, IReadOnlyList<string> roles, RepositoryPatterns images, PasswordHash? password, string? tokenDigest)
    {
        (Name, Roles, Images, Password, TokenDigest) = (name, roles, images, password, tokenDigest);
        IEnumerable<string> effective = roles.Contains(Access.Roles.Admin) ? Access.Roles.All : roles;
        Principal = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.Name, name), .. effective.Select(r => new Claim(ClaimTypes.Role, r))], AccountAuthentication.Scheme));
    }

    public string Name { get; }

    /// <summary>As written; <see cref="Principal"/> has what they include.</summary>
    public IReadOnlyList<string> Roles { get; }

    /// <summary>The repositories whose images it may read and have indexed.</summary>
    public RepositoryPatterns Images { get; }

    public PasswordHash? Password { get; }

    public string? TokenDigest { get; }

    /// <summary>Made once: a request allocates none.</summary>
    public ClaimsPrincipal Principal { get; }

    public override string ToString() => Name;
}
