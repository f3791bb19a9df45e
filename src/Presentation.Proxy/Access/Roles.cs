namespace Starlight.Presentation.Proxy.Access;

/// <summary>What an account may do. The names are those of the accounts file and of <c>starlight-proxy user add --role</c>.</summary>
internal static class Roles
{
    /// <summary>Ask for bundles and contents.</summary>
    public const string Pull = "pull";

    /// <summary>Send traces of container starts.</summary>
    public const string Report = "report";

    /// <summary>Have images indexed. Registries' notifications have a secret of their own.</summary>
    public const string Notify = "notify";

    /// <summary>Read <c>/metrics</c>: for a scraper that needs nothing else.</summary>
    public const string Metrics = "metrics";

    /// <summary>List, show, delete, collect garbage. Includes every other role.</summary>
    public const string Admin = "admin";

    public static readonly IReadOnlyList<string> All = [Pull, Report, Notify, Metrics, Admin];
}
