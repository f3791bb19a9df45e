using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Starlight.Presentation.Proxy.Endpoints;
using Starlight.Presentation.Proxy.Problems;
using Starlight.Presentation.Proxy.Settings;

namespace Starlight.Presentation.Proxy.Administration;

/// <summary>
/// <c>starlight-proxy list|show|delete|gc|stats</c>: the operator's commands. They talk to a running proxy, because only it knows what is in use; exit code 0, or 1 with one line on standard error.
/// </summary>
internal static class AdminCommands
{
    private static readonly Option<string> Url = new("--url")
    {
        Description = $"where the proxy listens (STARLIGHT_PROXY_URL) [default: http://127.0.0.1:{ProxySettings.DefaultPort}]",
        HelpName = "URL",
    };

    private static readonly Option<string> Login = new("--login")
    {
        Description = "USER:PASSWORD or a token of an account with the role admin; better in the environment (STARLIGHT_PROXY_LOGIN) [default: none]",
        HelpName = "LOGIN",
    };

    private static readonly Option<bool> Json = new("--json") { Description = "print the proxy's answer as it is" };

    private static readonly Argument<string> Reference = new("REF") { Description = "REGISTRY/REPOSITORY:TAG, or sha256:… of a manifest or index" };

    /// <summary>More than a catalog of a million files takes on a slow disk. Arbitrary.</summary>
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(60);

    public static IEnumerable<Command> Create()
    {
        yield return Simple("list", "List the images that are indexed.", HttpMethod.Get, _ => "images", AdminText.List, ProxyJson.Readable.AdminImages);
        yield return OfOne("show", "Show what is known of an image.", HttpMethod.Get, AdminText.Show, ProxyJson.Readable.AdminDetails);
        yield return OfOne("delete", "Let a tag stand for nothing, or remove the image that a digest names.", HttpMethod.Delete, AdminText.Delete, ProxyJson.Readable.AdminRemoval);

        Option<double?> grace = new("--grace") { Description = "keep what was used in the last so many hours [default: the proxy's own, a week]", HelpName = "HOURS" };
        Command collect = Simple(
            "gc",
            "Remove images that nobody can ask for any more, and contents and bundles of none.",
            HttpMethod.Post,
            parsed => parsed.GetValue(grace) is { } hours ? $"gc?grace={hours.ToString(CultureInfo.InvariantCulture)}" : "gc",
            AdminText.Collect,
            ProxyJson.Readable.AdminGarbage);
        collect.Add(grace);
        yield return collect;
        yield return Simple("stats", "Show how much the proxy keeps.", HttpMethod.Get, _ => "stats", AdminText.Statistics, ProxyJson.Readable.AdminStatistics);
    }

    private static Command OfOne<T>(string name, string description, HttpMethod method, Action<TextWriter, T> print, JsonTypeInfo<T> json)
    {
        Command command = Simple(name, description, method, parsed => $"image?ref={Uri.EscapeDataString(parsed.GetValue(Reference)!)}", print, json);
        command.Add(Reference);
        return command;
    }

    private static Command Simple<T>(string name, string description, HttpMethod method, Func<ParseResult, string> path, Action<TextWriter, T> print, JsonTypeInfo<T> json)
    {
        Command command = new(name, description) { Url, Login, Json };
        command.SetAction((parsed, cancellationToken) => RunAsync(parsed, method, path(parsed), print, json, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync<T>(ParseResult parsed, HttpMethod method, string path, Action<TextWriter, T> print, JsonTypeInfo<T> json, CancellationToken cancellationToken)
    {
        string text = parsed.GetValue(Url)
            ?? (Environment.GetEnvironmentVariable("STARLIGHT_PROXY_URL") is { Length: > 0 } variable ? variable : $"http://127.0.0.1:{ProxySettings.DefaultPort}");
        TextWriter error = parsed.InvocationConfiguration.Error;
        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? proxy) || proxy.Scheme is not ("http" or "https") || proxy.PathAndQuery != "/")
        {
            await error.WriteLineAsync($"starlight-proxy: '{text}' is not the URL of a proxy: write http://HOST:PORT");
            return 1;
        }

        try
        {
            // A collection may take minutes.
            using HttpClient http = new() { BaseAddress = proxy, Timeout = method == HttpMethod.Post ? Timeout.InfiniteTimeSpan : AnswerTimeout };
            using HttpRequestMessage request = new(method, $"/starlight/admin/{path}");
            request.Headers.Authorization = (parsed.GetValue(Login) ?? Environment.GetEnvironmentVariable("STARLIGHT_PROXY_LOGIN")) switch
            {
                null or "" => null,
                { } login when login.Contains(':', StringComparison.Ordinal) => new AuthenticationHeaderValue("Basic", Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(login))),
                { } token => new AuthenticationHeaderValue("Bearer", token),
            };
            using HttpResponseMessage answer = await http.SendAsync(request, cancellationToken);
            byte[] body = await answer.Content.ReadAsByteArrayAsync(cancellationToken);
            if (!answer.Headers.Contains(ProtocolMiddleware.ProtocolHeader))
            {
                await error.WriteLineAsync($"starlight-proxy: what answers at {proxy} is not a Starlight proxy: check the address");
                return 1;
            }

            if (!answer.IsSuccessStatusCode)
            {
                // The proxy's own words are for workers.
                string detail = answer.StatusCode == HttpStatusCode.Unauthorized
                    ? $"this proxy {(request.Headers.Authorization is null ? "wants a login" : "does not know this login")}: name an account with the role admin with --login NAME:PASSWORD or --login TOKEN, or in STARLIGHT_PROXY_LOGIN"
                    : answer.Content.Headers.ContentType?.MediaType == Problem.MediaType
                    ? JsonSerializer.Deserialize(body, ProxyJson.Default.Problem)!.Detail
                    : $"{proxy} answered {(int)answer.StatusCode}: is it a Starlight proxy?";
                await error.WriteLineAsync($"starlight-proxy: {detail}");
                return 1;
            }

            if (parsed.GetValue(Json))
            {
                await parsed.InvocationConfiguration.Output.WriteLineAsync(System.Text.Encoding.UTF8.GetString(body));
            }
            else
            {
                print(parsed.InvocationConfiguration.Output, JsonSerializer.Deserialize(body, json)!);
            }

            return 0;
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or IOException or JsonException)
        {
            await error.WriteLineAsync($"starlight-proxy: the proxy at {proxy} cannot be asked: {e.GetBaseException().Message}");
            return 1;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            await error.WriteLineAsync($"starlight-proxy: the proxy at {proxy} has not answered within {AnswerTimeout.TotalSeconds} s");
            return 1;
        }
    }
}
