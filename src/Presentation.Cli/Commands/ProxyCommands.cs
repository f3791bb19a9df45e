using System.CommandLine;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;
using Starlight.Infrastructure.Grpc.Protocol;

namespace Starlight.Presentation.Cli.Commands;

/// <summary><c>ctr-starlight add-proxy NAME http|https ADDRESS [USER]</c>: the password or token is asked for, or read from standard input when that is not a terminal, so that it shows up in no process list.</summary>
internal static class AddProxyCommand
{
    public static Command Build(GlobalOptions global)
    {
        Argument<string> name = new("NAME") { Description = "profile name" };
        Argument<string> protocol = new("PROTOCOL") { Description = "http or https" };
        Argument<string> address = new("ADDRESS") { Description = "host or host:port" };
        Argument<string?> user = new("USER") { Description = "HTTP Basic user; the password is asked for or read from standard input", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> token = new("--token") { Description = "log in with a bearer token, which is asked for or read from standard input, instead of a user" };
        Option<string> authority = new("--ca") { Description = "PEM file of the only certificate authorities to trust for this proxy [default: those that the machine trusts]", HelpName = "FILE" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "print nothing on success" };
        Command command = new("add-proxy", "Add a proxy profile, or replace the one of the same name.") { name, protocol, address, user, token, authority, quiet };
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
                Password = account.Length == 0 ? "" : ReadSecret("password", $"Password for {account}: "),
                Token = parse.GetValue(token) ? ReadSecret("token", "Token: ") : "",
                CaFile = parse.GetValue(authority) is { Length: > 0 } file ? Path.GetFullPath(file) : "",
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

    private static string ReadSecret(string what, string prompt)
    {
        if (Console.IsInputRedirected)
        {
            return Console.In.ReadLine() ?? throw new FailureException(new Error("Proxy.SecretMissing", $"there is no {what} on standard input: give it as the first line", ErrorKind.InvalidInput));
        }

        Console.Error.Write(prompt);
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

/// <summary><c>ctr-starlight list-proxy</c>: names, endpoints and the default; never passwords or tokens.</summary>
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
                string login = profile.HasToken ? "  (token)" : profile.Username.Length == 0 ? "" : $"  (user {profile.Username})";
                string authority = profile.CaFile.Length == 0 ? "" : $"  (authorities {profile.CaFile})";
                Console.WriteLine($"{(profile.IsDefault ? "*" : " ")} {profile.Name}  {profile.Protocol}://{profile.Address}{login}{authority}");
            }

            return 0;
        });
        return command;
    }
}
