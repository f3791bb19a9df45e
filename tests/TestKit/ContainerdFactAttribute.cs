using System.Globalization;
using Xunit;

namespace Starlight.TestKit;

/// <summary>A test of something that only newer containerds have. With an older one in the path it is skipped, in CI too: that is no lack of the machine.</summary>
public sealed class ContainerdFactAttribute : FactAttribute
{
    private static readonly Lazy<(Version Number, string Text)?> s_installed = new(Find);

    /// <param name="major">Of the oldest version that has it.</param>
    /// <param name="minor">Of the oldest version that has it.</param>
    public ContainerdFactAttribute(int major, int minor)
    {
        if (s_installed.Value is var (number, text) && number < new Version(major, minor))
        {
            Skip = $"needs containerd {major}.{minor}, this is {text}";
        }
    }

    /// <summary>Null where there is none: the test itself says so then.</summary>
    private static (Version Number, string Text)? Find()
    {
        try
        {
            // containerd PACKAGE VERSION REVISION
            string text = Tool.Run("containerd", ["--version"]).Split(' ')[2];
            string[] parts = text.TrimStart('v').Split('.', '-', '~', '+');
            return (new Version(int.Parse(parts[0], CultureInfo.InvariantCulture), int.Parse(parts[1], CultureInfo.InvariantCulture)), text);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
