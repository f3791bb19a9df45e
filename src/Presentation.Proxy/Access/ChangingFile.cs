using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>
/// Something read from files that an operator, or Kubernetes, replaces while the proxy runs. The files are looked at when the value is asked for, at most every two seconds;
/// a version that cannot be used is reported once and the last good one stays. Reading beats watching: mounted secrets are swapped by symbolic links, which
/// notifications miss. Safe for concurrent use.
/// </summary>
internal sealed class ChangingFile<T>
    where T : class
{
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(2);

    private readonly string[] _paths;
    private readonly Func<T> _load;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _lock = new();
    private volatile T _value;
    private byte[] _digest;
    private long _checkedAt;

    /// <param name="paths">A few small files.</param>
    /// <param name="load">Reads them; a <see cref="FailureException"/> says why they are of no use.</param>
    /// <param name="time">Clock of the looks.</param>
    /// <param name="logger">Told about new versions and about bad ones.</param>
    /// <exception cref="FailureException">They are of no use now.</exception>
    public ChangingFile(string[] paths, Func<T> load, TimeProvider time, ILogger logger)
    {
        (_paths, _load, _time, _logger) = (paths, load, time, logger);
        _digest = Digest();
        _value = load();
        _checkedAt = time.GetTimestamp();
    }

    public T Value
    {
        get
        {
            if (_time.GetElapsedTime(Volatile.Read(ref _checkedAt)) >= Freshness && _lock.TryEnter())
            {
                try
                {
                    Refresh();
                }
                finally
                {
                    _lock.Exit();
                }
            }

            return _value;
        }
    }

    private void Refresh()
    {
        byte[] digest = Digest();
        Volatile.Write(ref _checkedAt, _time.GetTimestamp());
        if (!digest.AsSpan().SequenceEqual(_digest))
        {
            _digest = digest;
            try
            {
                _value = _load();
                ProxyLog.FileReloaded(_logger, _paths[0]);
            }
            catch (FailureException e)
            {
                ProxyLog.FileNotReloaded(_logger, e.Message);
            }
        }
    }

    /// <summary>A file that is missing counts as a version of its own: it is being replaced, or gone.</summary>
    private byte[] Digest()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string path in _paths)
        {
            try
            {
                hash.AppendData(SHA256.HashData(File.ReadAllBytes(path)));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                hash.AppendData("absent"u8);
            }
        }

        return hash.GetHashAndReset();
    }
}
