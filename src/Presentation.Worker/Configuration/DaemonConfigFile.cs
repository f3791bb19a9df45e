using System.Text.Json;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Worker.Configuration;

/// <summary>
/// The configuration file as the home of the proxy profiles. It holds passwords: created and rewritten with mode 0600, atomically. Profiles given as flags are used but never written.
/// </summary>
internal sealed class DaemonConfigFile : IProxyProfiles
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly Lock _lock = new();
    private readonly string _path;
    private readonly List<ProxyProfile> _profiles = [];
    private DaemonFile _file;
    private string? _default;
    private string? _authority;

    private DaemonConfigFile(string path, DaemonFile file)
    {
        _path = path;
        _file = file;
    }

    public DaemonFile File => _file;

    public string? DefaultName
    {
        get
        {
            lock (_lock)
            {
                return _default;
            }
        }
    }

    /// <summary>Reads the file, or creates it with this worker's new identity.</summary>
    /// <param name="path">Where it is or shall be.</param>
    /// <param name="extraProfiles">From flags; they win over the file's of the same name.</param>
    /// <param name="defaultProfile">From a flag, or null for the file's choice.</param>
    /// <param name="authority">From flag or environment: certificate authorities of the HTTPS profiles that name none; null for the file's choice.</param>
    /// <exception cref="FailureException"><c>Config.Unreadable</c>, <c>Config.Malformed</c>, <c>Config.Unwritable</c>.</exception>
    public static DaemonConfigFile Open(string path, IReadOnlyList<ProxyProfile> extraProfiles, string? defaultProfile, string? authority = null)
    {
        DaemonConfigFile config;
        if (System.IO.File.Exists(path))
        {
            config = new DaemonConfigFile(path, Read(path));
        }
        else
        {
            config = new DaemonConfigFile(path, new DaemonFile { Id = Guid.NewGuid().ToString(), Configs = [] });
            config.Write();
        }

        config._authority = (authority ?? config._file.ProxyCa) is { Length: > 0 } named ? Path.GetFullPath(named) : null;
        foreach ((string name, ProxyEntry entry) in config._file.Configs ?? [])
        {
            Result<ProxyProfile> profile = ProxyProfile.Create(name, entry.Protocol, entry.Address, entry.Username, entry.Password, entry.Token, entry.CaFile);
            if (!profile.IsSuccess)
            {
                throw new FailureException(new Error("Config.Malformed", $"{path}: configs.{name}: {profile.Error.Message}", ErrorKind.InvalidInput));
            }

            config._profiles.Add(profile.Value.OrAuthority(config._authority));
        }

        foreach (ProxyProfile profile in extraProfiles)
        {
            config._profiles.RemoveAll(p => p.Name == profile.Name);
            config._profiles.Add(profile.OrAuthority(config._authority));
        }

        config._default = defaultProfile ?? config._file.DefaultProxy ?? config._profiles.FirstOrDefault()?.Name;
        if (config._default is { } name2 && config._profiles.Count > 0 && config._profiles.All(p => p.Name != name2))
        {
            throw new FailureException(new Error("Config.Malformed", $"the default proxy '{name2}' is not one of the profiles {string.Join(", ", config._profiles.Select(p => p.Name))}", ErrorKind.InvalidInput));
        }

        return config;
    }

    public IReadOnlyList<ProxyProfile> List()
    {
        lock (_lock)
        {
            return [.. _profiles];
        }
    }

    public Result<ProxyProfile> Find(string? name)
    {
        lock (_lock)
        {
            string? wanted = string.IsNullOrEmpty(name) ? _default : name;
            if (wanted is null)
            {
                return new Error("Proxy.NoProfile", "no proxy is configured: add one with 'ctr-starlight add-proxy NAME http|https HOST:PORT'", ErrorKind.FailedPrecondition);
            }

            ProxyProfile? found = _profiles.Find(p => p.Name == wanted);
            return found is null
                ? new Error("Proxy.ProfileUnknown", $"there is no proxy profile '{wanted}': see 'ctr-starlight list-proxy', add one with 'ctr-starlight add-proxy'", ErrorKind.NotFound)
                : found;
        }
    }

    public void Save(ProxyProfile profile)
    {
        lock (_lock)
        {
            Dictionary<string, ProxyEntry> configs = new(_file.Configs ?? [], StringComparer.Ordinal)
            {
                [profile.Name] = new ProxyEntry
                {
                    Protocol = profile.Endpoint.Scheme,
                    Address = profile.Endpoint.Authority + profile.Endpoint.AbsolutePath.TrimEnd('/'),
                    Username = profile.User,
                    Password = profile.Password,
                    Token = profile.Token,
                    CaFile = profile.AuthorityFile,
                },
            };
            DaemonFile before = _file;
            _file = _file with { Configs = configs, DefaultProxy = _file.DefaultProxy ?? (_default is null ? profile.Name : null) };
            try
            {
                Write();
            }
            catch
            {
                _file = before;
                throw;
            }

            _profiles.RemoveAll(p => p.Name == profile.Name);
            _profiles.Add(profile.OrAuthority(_authority));
            _default ??= profile.Name;
        }
    }

    private static DaemonFile Read(string path)
    {
        try
        {
            using FileStream stream = System.IO.File.OpenRead(path);
            return JsonSerializer.Deserialize(stream, DaemonFileJson.Default.DaemonFile) ?? new DaemonFile();
        }
        catch (JsonException e)
        {
            throw new FailureException(new Error("Config.Malformed", $"{path} is not a valid configuration: {e.Message}", ErrorKind.InvalidInput), e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FailureException(new Error("Config.Unreadable", $"{path} cannot be read: {e.Message}", ErrorKind.PermissionDenied), e);
        }
    }

    private void Write()
    {
        string temporary = $"{_path}.{Guid.NewGuid():N}.tmp";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(_path))!);
            using (FileStream stream = new(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
            {
                JsonSerializer.Serialize(stream, _file, DaemonFileJson.Default.DaemonFile);
                stream.Flush(flushToDisk: true);
            }

            System.IO.File.Move(temporary, _path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            System.IO.File.Delete(temporary);
            throw new FailureException(new Error("Config.Unwritable", $"{_path} cannot be written: {e.Message}", ErrorKind.PermissionDenied), e);
        }
    }
}
