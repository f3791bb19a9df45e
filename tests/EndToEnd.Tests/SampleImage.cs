using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>
/// Images whose programs and data no other image has, so that a test starts from a worker that has none of it. <c>/zz/0</c> … hold text that hardly compresses; path order puts
/// them at the very end of the stream.
/// </summary>
internal static class SampleImage
{
    /// <summary>Raw bytes of each file below <c>/zz</c>: three quarters of it cross the wire.</summary>
    public const int LargeFile = 2_000_000;

    public static Task<string> PushAsync(StarlightStack stack, string repositoryAndTag, int largeFiles = 4, params string[] moreLayers)
    {
        string unique = Guid.NewGuid().ToString("N");
        return stack.PushTinyAsync(
            repositoryAndTag,
            [
                $$"""
                mkdir bin zz
                for tool in sh cat ls sleep; do cp -L "/bin/$tool" bin/; echo {{unique}} >> "bin/$tool"; done
                for i in $(seq 0 {{largeFiles - 1}}); do head -c {{LargeFile / 4 * 3}} /dev/urandom | base64 -w 0 > zz/$i; done
                """,
                .. moreLayers,
            ]);
    }
}
