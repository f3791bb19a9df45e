using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Native;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>One account as the file has it.</summary>
internal sealed record AccountEntry
{
    [JsonPropertyName("name")]
    public required string Name { get; init; }

    [JsonPropertyName("roles")]
    public IReadOnlyList<string> Roles { get; init; } = [];

    /// <summary>Patterns; not written for all.</summary>
    [JsonPropertyName("images")]
    public IReadOnlyList<string>? Images { get; init; }

    /// <summary><see cref="PasswordHash"/>.</summary>
    [JsonPropertyName("password")]
    public string? Password { get; init; }

    /// <summary><see cref="AccessToken.DigestOf"/>.</summary>
    [JsonPropertyName("token")]
    public string? Token { get; init; }
}

/// <summary>
/// The accounts file, <c>{ "accounts": [ … ] }</c>: hashes only, mode 0600, replaced atomically. Edited with <c>starlight-proxy user</c> or by hand; a running proxy takes
/// up changes within seconds.
/// </summary>
internal sealed record AccountsFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    [JsonPropertyName("accounts")]
    public IReadOnlyList<AccountEntry> Accounts { get; init; } = [];

    /// <exception cref="FailureException">InvalidInput <c>Access.FileMalformed</c>, NotFound <c>Access.FileMissing</c>.</exception>
    public static AccountsFile Read(string path) => Parse(path, ReadBytes(path));

    public static byte[] ReadBytes(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FailureException(new Error("Access.FileMissing", $"the accounts file {path} cannot be read: {e.Message}", ErrorKind.NotFound), e);
        }
    }

    public static AccountsFile Parse(string path, ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, AccountsJson.Readable.AccountsFile) ?? throw Malformed(path, "it is empty");
        }
        catch (JsonException e)
        {
            throw Malformed(path, e.Message);
        }
    }

    /// <summary>Checks every entry: a typing mistake in a role or pattern must not quietly become a right or the loss of one.</summary>
    public IReadOnlyList<Account> ToAccounts(string path, string defaultRegistry)
    {
        List<Account> accounts = [];
        foreach (AccountEntry? entry in Accounts)
        {
            if (entry is null || entry.Roles.Any(r => r is null) || entry.Images?.Any(i => i is null) == true)
            {
                throw Malformed(path, "it has 'null' for an account, a role or a pattern");
            }

            if (!IsName(entry.Name))
            {
                throw Malformed(path, $"'{entry.Name}' cannot name an account: use letters, digits, '.', '_', '@' and '-'");
            }

            if (accounts.Exists(a => a.Name == entry.Name))
            {
                throw Malformed(path, $"it has two accounts '{entry.Name}'");
            }

            if (entry.Roles.FirstOrDefault(r => !Roles.All.Contains(r)) is { } unknown)
            {
                throw Malformed(path, $"account '{entry.Name}' has the role '{unknown}'; there are {string.Join(", ", Roles.All)}");
            }

            PasswordHash? password = null;
            if (entry.Password is not null && (password = PasswordHash.Parse(entry.Password)) is null)
            {
                throw Malformed(path, $"the password of '{entry.Name}' is not a hash: make one with 'starlight-proxy hash-password'");
            }

            if (entry.Token is not null && !AccessToken.IsDigest(entry.Token))
            {
                throw Malformed(path, $"the token of '{entry.Name}' is not the digest of one: write sha256$ and 64 hex digits");
            }

            if (entry.Token is not null && accounts.Exists(a => a.TokenDigest == entry.Token))
            {
                throw Malformed(path, $"'{entry.Name}' has the token of another account");
            }

            if (password is null && entry.Token is null)
            {
                throw Malformed(path, $"account '{entry.Name}' has neither password nor token");
            }

            Result<RepositoryPatterns> images = entry.Images is null ? RepositoryPatterns.All : RepositoryPatterns.Parse(entry.Images, defaultRegistry);
            accounts.Add(images.IsSuccess ? new Account(entry.Name, entry.Roles, images.Value, password, entry.Token) : throw Malformed(path, $"account '{entry.Name}': {images.Error.Message}"));
        }

        return accounts;
    }

    public void Write(string path)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            using (FileStream stream = new(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
            {
                JsonSerializer.Serialize(stream, this, AccountsJson.Readable.AccountsFile);
                stream.Flush(flushToDisk: true);
            }

            // Who may read the file was somebody's decision (the proxy's own user, say): it stays.
            if (File.Exists(path))
            {
                FileOwner.Copy(temporary, path);
                File.SetUnixFileMode(temporary, File.GetUnixFileMode(path));
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            File.Delete(temporary);
            throw new FailureException(new Error("Access.FileUnwritable", $"the accounts file {path} cannot be written: {e.Message}", ErrorKind.PermissionDenied), e);
        }
    }

    /// <summary>No colon, which ends the name in HTTP Basic (RFC 7617).</summary>
    public static bool IsName(string name) => name.Length is > 0 and <= 128 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or '@');

    private static FailureException Malformed(string path, string why) => new(new Error("Access.FileMalformed", $"the accounts file {path} cannot be used: {why}", ErrorKind.InvalidInput));
}

[JsonSerializable(typeof(AccountsFile))]
[JsonSourceGenerationOptions(
    WriteIndented = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true,
    RespectNullableAnnotations = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
internal sealed partial class AccountsJson : JsonSerializerContext
{
    /// <summary>Base64's plus signs as they are.</summary>
    public static AccountsJson Readable => field ??= new AccountsJson(new JsonSerializerOptions(Default.Options!) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
