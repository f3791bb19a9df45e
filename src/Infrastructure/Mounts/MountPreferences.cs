using Starlight.Domain.SharedKernel;

namespace Starlight.Infrastructure.Mounts;

/// <summary>What the configuration demands of the mounts. Null leaves the choice to what works; anything else is a demand, and a kernel that cannot meet it is refused.</summary>
/// <param name="Mode"><c>mount_mode</c></param>
/// <param name="Erofs"><c>erofs</c>; of no account for directory trees.</param>
/// <param name="EarlyStart"><c>early_start</c></param>
public sealed record MountPreferences(MountMode? Mode = null, ErofsBacking? Erofs = null, bool? EarlyStart = null)
{
    private static readonly (string Name, MountMode? Value)[] Modes =
        [("auto", null), ("single-overlay", MountMode.SingleOverlay), ("nested-overlay", MountMode.NestedOverlay), ("directory-tree", MountMode.DirectoryTree)];

    private static readonly (string Name, ErofsBacking? Value)[] Backings = [("auto", null), ("file", ErofsBacking.File), ("loop", ErofsBacking.Loop)];

    private static readonly (string Name, bool? Value)[] Switches = [("auto", null), ("on", true), ("off", false)];

    /// <summary>Everything is left to what works.</summary>
    public static MountPreferences Auto { get; } = new();

    /// <summary>From the words of the configuration; null or empty is <c>auto</c>.</summary>
    /// <returns>InvalidInput <c>Config.MountMode</c> for a word that is none of them.</returns>
    public static Result<MountPreferences> Parse(string? mode, string? erofs, string? earlyStart)
    {
        Result<MountMode?> modeValue = Find("mount_mode", mode, Modes);
        Result<ErofsBacking?> erofsValue = Find("erofs", erofs, Backings);
        Result<bool?> earlyStartValue = Find("early_start", earlyStart, Switches);
        return !modeValue.IsSuccess ? modeValue.Error
            : !erofsValue.IsSuccess ? erofsValue.Error
            : !earlyStartValue.IsSuccess ? earlyStartValue.Error
            : new MountPreferences(modeValue.Value, erofsValue.Value, earlyStartValue.Value);
    }

    /// <summary>The word that the configuration uses for a mode.</summary>
    internal static string NameOf(MountMode mode) => Array.Find(Modes, m => m.Value == mode).Name;

    private static Result<T?> Find<T>(string setting, string? word, (string Name, T? Value)[] words)
        where T : struct
    {
        string wanted = string.IsNullOrEmpty(word) ? words[0].Name : word;
        int index = Array.FindIndex(words, w => w.Name == wanted);
        return index >= 0
            ? Result<T?>.Success(words[index].Value)
            : new Error("Config.MountMode", $"{setting} '{word}' is not known: use {string.Join(", ", words.Select(w => w.Name))}", ErrorKind.InvalidInput);
    }
}
