using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>
/// A bearer token: <c>slp_</c> and 256 random bits. A guess is hopeless, so the accounts file keeps a plain SHA-256 of it (<c>sha256$HEX</c>) and a request costs
/// one hash and one look-up.
/// </summary>
internal static class AccessToken
{
    private const string Prefix = "slp_";
    private const string Scheme = "sha256$";

    public static string Create() => Prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    public static string DigestOf(string token) => Scheme + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    public static bool IsDigest(string text) => text.StartsWith(Scheme, StringComparison.Ordinal) && text.Length == Scheme.Length + 64 && text.AsSpan(Scheme.Length).IndexOfAnyExcept("0123456789abcdef") < 0;
}
