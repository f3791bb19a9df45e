using System.CommandLine;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;

namespace Starlight.Presentation.Cli.Commands;

/// <summary><c>ctr-starlight add-proxy NAME http|https ADDRESS [USER]</c>: the password is asked for, or read from standard input when that is not a terminal, so that it shows up in no process list.</summary>
internal static class AddProxyCommand
{
    public static Command Build(GlobalOptions global)
    {
        Argument<string> name = new("NAME") { Description = "profile name" };
        Argument<string> protocol = new("PROTOCOL") { Description = "http or https" };
        Argument<string> address = new("ADDRESS") { Description = "host or host:port" };
        Argument<string?> user = new("USER") { Description = "HTTP Basic user; the password is asked for or read from standard input", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> quiet = new("--quiet", "-q") { Description = "print nothing on success" };
        Command command = new("add-proxy", "Add a proxy profile, or replace the one of the same name.") { name, protocol, address, user, quiet };
        command.Aliases.Add("add");
        command.Aliases.Add("ap");
        command.SetAction(async (parse, cancellationToken) =>
        {
            string account = parse.GetValue(user) ?? "";
            AddProxyProfileRequest request = new()
            {
                Name = parse.GetRequiredValue(name),
                Protocol = parse.GetRequiredValue(protocol),
                Address = parse.GetRequiredValue(address),
                Username = account,
                Password = account.Length == 0 ? "" : ReadPassword(account),
            };
            using GrpcChannel channel = global.Connect(parse);
            await channel.UnaryAsync(DaemonMethods.AddProxyProfile, request, default, cancellationToken);
            if (!parse.GetValue(quiet))
            {
                Console.WriteLine($"added proxy profile {request.Name}");
            }

            return 0;
        });
        return command;
    }

    private static string ReadPassword(string user)
    {
        if (Console.IsInputRedirected)
        {
            return Console.In.ReadLine() ?? throw new FailureException(new Error("Proxy.PasswordMissing", $"no password for {user} on standard input", ErrorKind.InvalidInput));
        }

        Console.Error.Write($"Password for {user}: ");
        System.Text.StringBuilder password = new();
        while (true)
        {
            ConsoleKeyInfo key = Console.ReadKey(intercept: true);
            if (key.Key == ConsoleKey.Enter)
            {
                Console.Error.WriteLine();
                return password.ToString();
            }

            if (key.Key == ConsoleKey.Backspace)
            {
                password.Length = Math.Max(0, password.Length - 1);
            }
            else if (!char.IsControl(key.KeyChar))
            {
                password.Append(key.KeyChar);
            }
        }
    }
}

/// <summary><c>ctr-starlight list-proxy</c>: names, endpoints and the default; never passwords.</summary>
internal static class ListProxyCommand
{
    public static Command Build(GlobalOptions global)
    {
        Command command = new("list-proxy", "List the proxy profiles; the default is marked with *.");
        command.Aliases.Add("ls");
        command.Aliases.Add("lp");
        command.SetAction(async (parse, cancellationToken) =>
        {
            using GrpcChannel channel = global.Connect(parse);
            GetProxyProfilesResponse response = await channel.UnaryAsync(DaemonMethods.GetProxyProfiles, new GetProxyProfilesRequest(), default, cancellationToken);
            foreach (GetProxyProfilesResponse.Types.Profile profile in response.Profiles)
            {
                string user = profile.Username.Length == 0 ? "" : $"  (user {profile.Username})";
                Console.WriteLine($"{(profile.IsDefault ? "*" : " ")} {profile.Name}  {profile.Protocol}://{profile.Address}{user}");
            }

            return 0;
        });
        return command;
    }
}
