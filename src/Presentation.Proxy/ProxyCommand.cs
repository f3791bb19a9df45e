using System.CommandLine;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Access;
using Starlight.Presentation.Proxy.Administration;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy;

/// <summary>The command line of <c>starlight-proxy</c>. Every option's meaning and precedence is in <see cref="SettingsSources"/>.</summary>
internal static class ProxyCommand
{
    private static readonly Option<string> Config = new("--config", "-c") { Description = $"JSON configuration file (STARLIGHT_PROXY_CONFIG) [default: {SettingsFile.DefaultPath}, if it exists]", HelpName = "FILE", Recursive = true };
    private static readonly Option<string> Host = new("--host") { Description = $"address to listen on (STARLIGHT_HOST) [default: {ProxySettings.DefaultHost}]", HelpName = "ADDRESS" };
    private static readonly Option<string> Port = new("--port", "-p") { Description = $"port to listen on (STARLIGHT_PORT) [default: {ProxySettings.DefaultPort}]", HelpName = "PORT" };
    private static readonly Option<string> LogLevel = new("--log-level", "-l") { Description = "trace, debug, info, warn, error or fatal (LOG_LEVEL) [default: info]", HelpName = "LEVEL" };
    private static readonly Option<string> Database = new("--postgres", "--db") { Description = "postgres://USER:PASSWORD@HOST/DATABASE, or the path of an SQLite file (DB_CONNECTION_STRING) [default: catalog.db in the data directory]", HelpName = "DATABASE" };
    private static readonly Option<string> DataDirectory = new("--data-dir") { Description = $"where contents and bundles are kept [default: {ProxySettings.DefaultDataDirectory}]", HelpName = "DIRECTORY" };
    private static readonly Option<string> Registry = new("--registry", "-r") { Description = "registry of references that name none (REGISTRY) [default: docker.io]", HelpName = "HOST[:PORT]" };

    private static readonly Option<string> StoreLimit = new("--store-limit") { Description = $"room for contents on disk, e.g. 200GB, 40% or none; what was used least recently goes and is read from the registry again when needed (STARLIGHT_STORE_LIMIT) [default: {ProxySettings.DefaultStoreLimit}]", HelpName = "SIZE" };
    private static readonly Option<string> Accounts = new("--accounts") { Description = "JSON file of accounts, see 'user' (STARLIGHT_ACCOUNTS) [default: none, everybody may do everything]", HelpName = "FILE", Recursive = true };
    private static readonly Option<string> TlsCertificate = new("--tls-cert") { Description = "PEM file of the certificate and its chain: HTTPS only (STARLIGHT_TLS_CERT) [default: plain HTTP]", HelpName = "FILE" };
    private static readonly Option<string> TlsKey = new("--tls-key") { Description = "PEM file of the certificate's key (STARLIGHT_TLS_KEY)", HelpName = "FILE" };
    private static readonly Option<string> LogFormat = new("--log-format") { Description = "text or json (LOG_FORMAT) [default: text]", HelpName = "FORMAT" };

    public static RootCommand Create(Func<ProxySettings, CancellationToken, Task<int>> run)
    {
        RootCommand command = new("Starlight proxy: indexes images next to their registry and delivers them to workers as one stream.")
        {
            Config, Host, Port, LogLevel, Database, DataDirectory, Registry, StoreLimit, Accounts, TlsCertificate, TlsKey, LogFormat,
        };
        foreach (Command edit in UserCommands.Build(parse => AccountsOf(parse).Path, parse => AccountsOf(parse).DefaultRegistry))
        {
            command.Subcommands.Add(edit);
        }
        foreach (Command administration in AdminCommands.Create())
        {
            command.Subcommands.Add(administration);
        }

        command.SetAction(async (parsed, cancellationToken) =>
        {
            CommandLineSettings flags = new()
            {
                Config = parsed.GetValue(Config),
                Host = parsed.GetValue(Host),
                Port = parsed.GetValue(Port),
                LogLevel = parsed.GetValue(LogLevel),
                Database = parsed.GetValue(Database),
                DataDirectory = parsed.GetValue(DataDirectory),
                Registry = parsed.GetValue(Registry),
                StoreLimit = parsed.GetValue(StoreLimit),
                Accounts = parsed.GetValue(Accounts),
                TlsCertificate = parsed.GetValue(TlsCertificate),
                TlsKey = parsed.GetValue(TlsKey),
                LogFormat = parsed.GetValue(LogFormat),
            };
            try
            {
                return await run(SettingsSources.Resolve(flags, Environment.GetEnvironmentVariable), cancellationToken);
            }
            catch (FailureException e)
            {
                await parsed.InvocationConfiguration.Error.WriteLineAsync($"starlight-proxy: {e.Message}");
                return 1;
            }
        });
        return command;
    }

    private static (string? Path, string DefaultRegistry) AccountsOf(ParseResult parsed) =>
        SettingsSources.Accounts(new CommandLineSettings { Config = parsed.GetValue(Config), Accounts = parsed.GetValue(Accounts) }, Environment.GetEnvironmentVariable);
}
