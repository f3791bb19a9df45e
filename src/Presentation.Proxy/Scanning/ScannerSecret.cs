using System.Security.Cryptography;
using System.Text;

namespace Starlight.Presentation.Proxy.Scanning;

/// <summary>
/// What webhooks prove themselves with. Registries put it into the Authorization header each in their own way: Harbor verbatim, distribution as it is configured (usually
/// <c>Bearer SECRET</c>), Go programs whose URL has a password as HTTP Basic. Only the sha256 is kept and compared, in a time that tells nothing.
/// </summary>
internal sealed class ScannerSecret(string secret)
{
    /// <summary>In characters: what cannot be guessed over a network. Arbitrary.</summary>
    public const int MinLength = 16;

    /// <summary>Nobody needs more, and more is not hashed.</summary>
    private const int MaxHeaderLength = 4096;

    private readonly byte[] _hash = Hash(secret);

    public bool Admits(string? authorization)
    {
        if (authorization is null or { Length: > MaxHeaderLength })
        {
            return false;
        }

        // Every form is compared, so that the time does not tell which one was nearly right.
        bool verbatim = IsSecret(authorization.Trim());
        int space = authorization.IndexOf(' ', StringComparison.Ordinal);
        string scheme = space < 0 ? "" : authorization[..space];
        string rest = space < 0 ? "" : authorization[(space + 1)..].Trim();
        bool bearer = IsSecret(rest) && scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase);
        bool basic = IsSecret(Password(rest)) && scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase);
        return verbatim | bearer | basic;
    }

    public override string ToString() => "***";

    private static string Password(string credentials)
    {
        byte[] decoded = new byte[credentials.Length];
        if (!Convert.TryFromBase64String(credentials, decoded, out int length))
        {
            return "";
        }

        string pair = Encoding.UTF8.GetString(decoded, 0, length);
        return pair[(pair.IndexOf(':', StringComparison.Ordinal) + 1)..];
    }

    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    private bool IsSecret(string text) => CryptographicOperations.FixedTimeEquals(Hash(text), _hash);
}
