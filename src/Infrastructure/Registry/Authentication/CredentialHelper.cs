using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Registry.Authentication;

/// <summary>
/// Runs <c>docker-credential-NAME get</c> (github.com/docker/docker-credential-helpers): the server's address goes to its standard input, the answer is
/// <c>{"ServerURL":…,"Username":…,"Secret":…}</c>, exit status 1 with a known sentence means that it has none.
/// </summary>
internal static class CredentialHelper
{
    /// <summary>docker-credential-helpers credentials/error.go.</summary>
    private const string NotFoundMessage = "credentials not found in native keychain";

    /// <summary>The user name that marks the secret as an OAuth 2 refresh token.</summary>
    private const string TokenUsername = "<token>";

    /// <summary>A key chain may ask a person for a password. Arbitrary.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(60);

    /// <returns>Null if the helper has no credentials for the server.</returns>
    public static async Task<RegistryLogin?> GetAsync(string name, string server, CancellationToken cancellationToken)
    {
        // The name becomes part of a program's name: nothing that leads out of PATH.
        if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
        {
            throw Failure(name, "that is not the name of a helper");
        }

        string program = "docker-credential-" + name;
        ProcessStartInfo start = new(program, ["get"]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Timeout);
        using Process process = new() { StartInfo = start };
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            throw Failure(name, $"{program} cannot be run: {e.Message}", e);
        }

        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(deadline.Token);
            Task<string> errors = process.StandardError.ReadToEndAsync(deadline.Token);
            await WriteServerAsync(process, server);
            await process.WaitForExitAsync(deadline.Token);
            string answer = await output;
            string complaint = (await errors).Trim();
            if (process.ExitCode == 0)
            {
                return Parse(name, server, answer);
            }

            // Helpers write the sentence to standard output; some to standard error.
            return answer.Contains(NotFoundMessage, StringComparison.OrdinalIgnoreCase) || complaint.Contains(NotFoundMessage, StringComparison.OrdinalIgnoreCase)
                ? null
                : throw Failure(name, $"it ended with status {process.ExitCode}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Failure(name, $"it did not answer within {Timeout.TotalSeconds:0} s");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    private static async Task WriteServerAsync(Process process, string server)
    {
        try
        {
            await process.StandardInput.WriteAsync(server);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The helper ended without reading its input; its exit status and answer tell the rest.
        }
    }

    private static RegistryLogin Parse(string name, string server, string answer)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(answer);
            string username = document.RootElement.GetProperty("Username").GetString() ?? "";
            string secret = document.RootElement.GetProperty("Secret").GetString() ?? "";
            string origin = $"credential helper {name} for {server}";
            return username == TokenUsername
                ? new RegistryLogin { IdentityToken = secret, Origin = origin }
                : new RegistryLogin { Username = username, Password = secret, Origin = origin };
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            // The answer may hold a secret: neither it nor the parser's message, which quotes it, is passed on.
            throw Failure(name, "its answer is not what such helpers write");
        }
    }

    private static FailureException Failure(string name, string why, Exception? inner = null) => new(
        new Error("Registry.CredentialHelperFailed", $"credential helper '{name}' of Docker's config.json gave no login: {why}; log in again or remove it there", ErrorKind.FailedPrecondition), inner);
}
