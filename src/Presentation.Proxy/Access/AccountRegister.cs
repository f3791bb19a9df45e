using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>What came of a login.</summary>
/// <param name="Account">Null if it failed.</param>
/// <param name="RetryAfter">Set if it was not even tried, because this client failed too often.</param>
internal readonly record struct LoginOutcome(Account? Account, TimeSpan? RetryAfter = null);

/// <summary>
/// Checks who asks. A password costs its hash once; what was right is remembered as a keyed hash (the key lives in this process only), so that the requests of a pull cost
/// microseconds. A name that nobody has costs the same hash as a wrong password. Safe for concurrent use.
/// </summary>
internal sealed class AccountRegister
{
    private readonly ChangingFile<Snapshot>? _accounts;
    private readonly FailedLogins _failures;
    /// <summary>The last version that was read.</summary>
    private Snapshot? _last;

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);

    /// <summary>Hashes keep a core busy for a tenth of a second each: half of the cores stay for everything else.</summary>
    private readonly SemaphoreSlim _hashing = new(Math.Max(1, Environment.ProcessorCount / 2));

    /// <param name="path">The accounts file; null: the proxy is open.</param>
    /// <param name="defaultRegistry">Of image patterns that name none.</param>
    /// <param name="time">Clock of reloads and penalties.</param>
    /// <param name="logger">Told about reloads.</param>
    /// <exception cref="Domain.SharedKernel.FailureException">The file is of no use.</exception>
    public AccountRegister(string? path, string defaultRegistry, TimeProvider time, ILogger<AccountRegister> logger)
    {
        _failures = new FailedLogins(time);
        _accounts = path is null ? null : new ChangingFile<Snapshot>([path], () => _last = new Snapshot(AccountsFile.Read(path).ToAccounts(path, defaultRegistry), _last), time, logger);
    }

    /// <summary>There are no accounts: everybody may do everything.</summary>
    public bool IsOpen => _accounts is null;

    /// <summary>Null if no account has this token. Not counted as a guess: nobody guesses 256 bits.</summary>
    public Account? FindByToken(string token) => _accounts!.Value.ByToken.GetValueOrDefault(AccessToken.DigestOf(token));

    /// <param name="name">From the request.</param>
    /// <param name="password">From the request.</param>
    /// <param name="client">Whom failures count for.</param>
    /// <param name="cancellationToken">Ends the wait for a free core.</param>
    public async ValueTask<LoginOutcome> CheckPasswordAsync(string name, string password, string client, CancellationToken cancellationToken)
    {
        Snapshot accounts = _accounts!.Value;
        Account? account = accounts.ByName.GetValueOrDefault(name);
        byte[] proof = HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(password));
        if (IsProven())
        {
            return new LoginOutcome(account);
        }

        if (_failures.PenaltyOf(client) is { } penalty)
        {
            return new LoginOutcome(null, penalty);
        }

        await _hashing.WaitAsync(cancellationToken);
        bool right;
        try
        {
            // Those that came together have waited here for the outcome of the first, right or wrong.
            if (IsProven())
            {
                return new LoginOutcome(account);
            }

            if (_failures.PenaltyOf(client) is { } earned)
            {
                return new LoginOutcome(null, earned);
            }

            right = await Task.Run(() => (account?.Password ?? accounts.Nobody).Matches(password), cancellationToken);
            if (!right || account?.Password is null)
            {
                _failures.Record(client);
            }
        }
        finally
        {
            _hashing.Release();
        }

        if (!right || account?.Password is null)
        {
            return default;
        }

        accounts.Proven[name] = proof;
        return new LoginOutcome(account);

        bool IsProven() => account is not null && accounts.Proven.TryGetValue(name, out byte[]? proven) && CryptographicOperations.FixedTimeEquals(proven, proof);
    }

    /// <summary>One version of the file. What was proven of an account stays as long as its password: a changed one counts at once, and a change elsewhere costs nobody a hash.</summary>
    private sealed class Snapshot(IReadOnlyList<Account> accounts, Snapshot? before)
    {
        public IReadOnlyDictionary<string, Account> ByName { get; } = accounts.ToDictionary(a => a.Name, StringComparer.Ordinal);

        public IReadOnlyDictionary<string, Account> ByToken { get; } = accounts.Where(a => a.TokenDigest is not null).ToDictionary(a => a.TokenDigest!, StringComparer.Ordinal);

        /// <summary>Stands for those who have no account or no password, so that they take as long to refuse.</summary>
        public PasswordHash Nobody { get; } = PasswordHash.OfNobody(accounts.Max(a => a.Password?.Iterations) ?? PasswordHash.DefaultIterations);

        /// <summary>By name, keyed hash of the password last found right: at most one per account.</summary>
        public ConcurrentDictionary<string, byte[]> Proven { get; } = new(
            accounts.Where(a => before?.Proven.ContainsKey(a.Name) == true && before.ByName[a.Name].Password?.ToString() == a.Password?.ToString())
                .Select(a => KeyValuePair.Create(a.Name, before!.Proven[a.Name])),
            StringComparer.Ordinal);
    }
}
