using System.Text;
using Starlight.Domain.SharedKernel;

namespace Starlight.Presentation.Proxy.Access;

/// <summary>A password from the terminal without echo, or the first line of standard input: never an argument, which process lists show.</summary>
internal static class PasswordInput
{
    public static string Read(string prompt)
    {
        string password = Console.IsInputRedirected ? Console.In.ReadLine() ?? "" : FromTerminal(prompt);
        return password.Length > 0 ? password : throw new FailureException(new Error("Access.PasswordEmpty", "the password is empty: type one, or give it as the first line of standard input", ErrorKind.InvalidInput));
    }

    private static string FromTerminal(string prompt)
    {
        Console.Error.Write(prompt);
        StringBuilder password = new();
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
