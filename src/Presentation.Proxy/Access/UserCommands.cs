using System.CommandLine;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Access;

/// <summary><c>starlight-proxy user add|list|remove</c> and <c>hash-password</c>: edit the accounts file; a running proxy takes the change up by itself.</summary>
internal static class UserCommands
{
    private static readonly Argument<string> Name = new("NAME") { Description = "letters, digits, '.', '_', '@' and '-'" };

    /// <param name="accountsPath">Finds the accounts file as the proxy itself does.</param>
    /// <param name="defaultRegistry">The same for the default registry.</param>
    public static IEnumerable<Command> Build(Func<ParseResult, string?> accountsPath, Func<ParseResult, string> defaultRegistry)
    {
        Command user = new("user", "Manage the accounts file.") { Add(accountsPath, defaultRegistry), List(accountsPath, defaultRegistry), Remove(accountsPath) };
        return [user, HashPassword()];
    }

    private static Command Add(Func<ParseResult, string?> accountsPath, Func<ParseResult, string> defaultRegistry)
    {
        Option<string[]> roles = new("--role") { Description = $"{string.Join(", ", Roles.All)}; may be repeated [default: {Roles.Pull} and {Roles.Report}]", HelpName = "ROLE" };
        Option<string[]> images = new("--images") { Description = "pattern of repositories it may use, e.g. registry.example.com/team/*; may be repeated [default: all]", HelpName = "PATTERN" };
        Option<bool> token = new("--token") { Description = "make a bearer token, shown once, instead of asking for a password" };
        Option<bool> replace = new("--replace") { Description = "replace the account of the same name" };
        Command command = new("add", "Add an account; the password is asked for or read from standard input.") { Name, roles, images, token, replace };
        return command.Does(async (parse, output) =>
        {
            string path = Required(accountsPath(parse));
            string name = parse.GetRequiredValue(Name);
            AccountsFile file = File.Exists(path) ? AccountsFile.Read(path) : new AccountsFile();
            if (file.Accounts.Any(a => a.Name == name) && !parse.GetValue(replace))
            {
                throw new FailureException(new Error("Access.AccountExists", $"there is an account '{name}' already: remove it, or replace it with --replace", ErrorKind.AlreadyExists));
            }

            string? secret = parse.GetValue(token) ? AccessToken.Create() : null;
            AccountEntry entry = new()
            {
                Name = name,
                Roles = parse.GetValue(roles) is { Length: > 0 } some ? [.. some.Distinct(StringComparer.Ordinal)] : [Roles.Pull, Roles.Report],
                Images = parse.GetValue(images) is { Length: > 0 } patterns ? patterns : null,
                Token = secret is null ? null : AccessToken.DigestOf(secret),
                Password = secret is null ? PasswordHash.Create(PasswordInput.Read($"Password for {name}: ")).ToString() : null,
            };
            AccountsFile changed = file with { Accounts = [.. file.Accounts.Where(a => a.Name != name), entry] };
            changed.ToAccounts(path, defaultRegistry(parse));
            changed.Write(path);
            await output.WriteLineAsync(secret ?? $"added {name} to {path}");
        });
    }

    private static Command List(Func<ParseResult, string?> accountsPath, Func<ParseResult, string> defaultRegistry) =>
        new Command("list", "List the accounts: name, how it logs in, roles, images.").Does(async (parse, output) =>
        {
            string path = Required(accountsPath(parse));
            foreach (Account account in AccountsFile.Read(path).ToAccounts(path, defaultRegistry(parse)))
            {
                string login = (account.Password, account.TokenDigest) switch { (not null, not null) => "password+token", (not null, null) => "password", _ => "token" };
                await output.WriteLineAsync($"{account.Name}  {login}  {string.Join(',', account.Roles)}  {account.Images}");
            }
        });

    private static Command Remove(Func<ParseResult, string?> accountsPath) =>
        new Command("remove", "Remove an account.") { Name }.Does(async (parse, output) =>
        {
            string path = Required(accountsPath(parse));
            string name = parse.GetRequiredValue(Name);
            AccountsFile file = AccountsFile.Read(path);
            if (file.Accounts.All(a => a.Name != name))
            {
                throw new FailureException(new Error("Access.AccountUnknown", $"there is no account '{name}' in {path}", ErrorKind.NotFound));
            }

            (file with { Accounts = [.. file.Accounts.Where(a => a.Name != name)] }).Write(path);
            await output.WriteLineAsync($"removed {name} from {path}");
        });

    private static Command HashPassword() =>
        new Command("hash-password", "Print the hash of a password, asked for or read from standard input, for an accounts file made by other tools.").Does(async (_, output) =>
            await output.WriteLineAsync(PasswordHash.Create(PasswordInput.Read("Password: ")).ToString()));

    private static Command Does(this Command command, Func<ParseResult, TextWriter, Task> action)
    {
        command.SetAction(async (parse, _) =>
        {
            try
            {
                await action(parse, parse.InvocationConfiguration.Output);
                return 0;
            }
            catch (FailureException e)
            {
                await parse.InvocationConfiguration.Error.WriteLineAsync($"starlight-proxy: {e.Message}");
                return 1;
            }
        });
        return command;
    }

    private static string Required(string? path) => path
        ?? throw new FailureException(new Error("Access.FileUnnamed", "no accounts file is configured: name it with --accounts FILE, STARLIGHT_ACCOUNTS or 'accounts' in the configuration file", ErrorKind.InvalidInput));
}
