using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

internal static class Images
{
    /// <summary>Removes images from containerd and waits until its garbage collection is through, so that the next test finds a worker without them.</summary>
    public static async Task RemoveAsync(StarlightStack stack, params string[] references)
    {
        foreach (string reference in references)
        {
            (await stack.Ctr("images", "rm", "--sync", reference)).Succeeded();
        }
    }
}
