using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>
/// A password as the accounts file keeps it: <c>pbkdf2-sha256$ITERATIONS$SALT$HASH</c>, salt and hash in base64. PBKDF2 (RFC 8018) is what the framework has;
/// the work factor stands in each hash, so that it can be raised without touching old ones.
/// </summary>
internal sealed class PasswordHash
{
    /// <summary>OWASP's recommendation for PBKDF2-HMAC-SHA256 (Password Storage Cheat Sheet, 2023): about 0.1 s.</summary>
    public const int DefaultIterations = 600_000;

    /// <summary>RFC 8018 section 4.2 calls 1,000 the least; anything near it is a mistake today. Tests stay above it.</summary>
    private const int MinIterations = 10_000;

    /// <summary>A hash that takes minutes would be a way to stop the proxy.</summary>
    private const int MaxIterations = 20_000_000;

    private const string Scheme = "pbkdf2-sha256";
    private const int SaltLength = 16;
    private const int HashLength = 32;

    private readonly byte[] _salt;
    private readonly byte[] _hash;

    private PasswordHash(int iterations, byte[] salt, byte[] hash) => (Iterations, _salt, _hash) = (iterations, salt, hash);

    public int Iterations { get; }

    public static PasswordHash Create(string password, int iterations = DefaultIterations)
    {
        byte[] salt = RandomNumberGenerator.GetBytes(SaltLength);
        return new PasswordHash(iterations, salt, Derive(password, salt, iterations));
    }

    /// <summary>A hash that no password has: to refuse somebody in the time that a wrong password takes.</summary>
    public static PasswordHash OfNobody(int iterations) => new(iterations, RandomNumberGenerator.GetBytes(SaltLength), RandomNumberGenerator.GetBytes(HashLength));

    /// <summary>Null if the text is no such hash.</summary>
    public static PasswordHash? Parse(string text)
    {
        string[] parts = text.Split('$');
        if (parts.Length != 4 || parts[0] != Scheme || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int iterations) || iterations is < MinIterations or > MaxIterations)
        {
            return null;
        }

        byte[] salt = new byte[parts[2].Length];
        byte[] hash = new byte[parts[3].Length];
        return Convert.TryFromBase64String(parts[2], salt, out int saltLength) && saltLength >= 8 && Convert.TryFromBase64String(parts[3], hash, out int hashLength) && hashLength == HashLength
            ? new PasswordHash(iterations, salt[..saltLength], hash[..hashLength])
            : null;
    }

    /// <summary>Takes as long for a wrong password as for the right one.</summary>
    public bool Matches(string password) => CryptographicOperations.FixedTimeEquals(Derive(password, _salt, Iterations), _hash);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Scheme}${Iterations}${Convert.ToBase64String(_salt)}${Convert.ToBase64String(_hash)}");

    private static byte[] Derive(string password, byte[] salt, int iterations) =>
        Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password), salt, iterations, HashAlgorithmName.SHA256, HashLength);
}
