using System.Reflection;

namespace Starlight.Presentation.Proxy;

internal static class ProxyVersion
{
    /// <summary>As <c>--version</c> prints it.</summary>
    public static string Text { get; } = typeof(ProxyVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";
}
