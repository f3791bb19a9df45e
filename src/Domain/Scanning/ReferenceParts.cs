namespace Starlight.Domain.Scanning;

/// <summary>Cuts what is written like a reference, but need not be one.</summary>
internal static class ReferenceParts
{
    /// <summary>The registry is null if the first part cannot be one.</summary>
    public static (string? Registry, string Remainder) SplitRegistry(string text)
    {
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        string first = slash < 0 ? "" : text[..slash];
        bool isRegistry = first is "localhost" or DestinationTemplate.Registry || first.AsSpan().ContainsAny('.', ':') || first.AsSpan().ContainsAnyInRange('A', 'Z');
        return isRegistry ? (first, text[(slash + 1)..]) : (null, text);
    }

    /// <summary>The tag is null if there is none, which is not the same as an empty one.</summary>
    public static (string Repository, string? Tag) SplitTag(string text)
    {
        int colon = text.LastIndexOf(':');
        return colon > text.LastIndexOf('/') ? (text[..colon], text[(colon + 1)..]) : (text, null);
    }
}
