using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;

namespace Starlight.TestKit;

/// <summary>
/// Writes a docker archive (docker image save) of an image whose lowest layer holds this machine's shell and a few tools with their libraries, so that a container can really run
/// from it without a registry. Further layers are made of shell scripts' results.
/// </summary>
public static class TinyImage
{
    private static readonly string[] Tools = ["/bin/sh", "/bin/cat", "/bin/ls"];

    /// <param name="archive">File to write.</param>
    /// <param name="reference">Name of the image in the archive.</param>
    /// <param name="scripts">One layer each, on top of the tools' layer; run in the layer's empty directory.</param>
    /// <returns>The layers' diff IDs, lowest first.</returns>
    public static IReadOnlyList<string> Write(string archive, string reference, params string[] scripts) => Write(archive, reference, ["/bin/sh"], scripts);

    /// <param name="archive">File to write.</param>
    /// <param name="reference">Name of the image in the archive.</param>
    /// <param name="command">What a container runs that is told nothing else.</param>
    /// <param name="scripts">As above.</param>
    public static IReadOnlyList<string> Write(string archive, string reference, IReadOnlyList<string> command, string[] scripts)
    {
        using var scratch = new ScratchDirectory();
        List<string> layers = [];
        for (int i = 0; i <= scripts.Length; i++)
        {
            string tree = scratch[$"tree{i}"];
            Directory.CreateDirectory(tree);
            Tool.Bash(i == 0 ? CopyTools() : scripts[i - 1], tree);
            layers.Add(scratch[$"layer{i}.tar"]);
            Tool.Run("tar", ["--numeric-owner", "--xattrs", "-C", tree, "-cf", layers[^1], "."]);
        }

        string[] diffIds = [.. layers.Select(layer => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(layer))))];
        string config =
            $$"""
            {"architecture":"{{Architecture}}","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":[{{Quoted(command)}}]},
             "rootfs":{"type":"layers","diff_ids":[{{Quoted(diffIds)}}] } }
            """;
        string manifest = $$"""[{"Config":"config.json","RepoTags":["{{reference}}"],"Layers":[{{Quoted(layers.Select(Path.GetFileName))}}]}]""";
        using var writer = new TarWriter(File.Create(archive), TarEntryFormat.Ustar);
        WriteText(writer, "config.json", config);
        WriteText(writer, "manifest.json", manifest);
        foreach (string layer in layers)
        {
            writer.WriteEntry(layer, Path.GetFileName(layer));
        }

        return diffIds;
    }

    private static string Architecture => System.Runtime.InteropServices.RuntimeInformation.OSArchitecture switch
    {
        System.Runtime.InteropServices.Architecture.Arm64 => "arm64",
        _ => "amd64",
    };

    private static string Quoted(IEnumerable<string?> values) => string.Join(',', values.Select(value => $"\"{value}\""));

    private static string CopyTools() =>
        $"""
        mkdir -p bin etc proc sys dev tmp
        for tool in {string.Join(' ', Tools)}; do
          cp -L "$tool" bin/
          for library in $(ldd "$tool" | grep -o '/[^ ]*'); do mkdir -p ".$(dirname "$library")"; cp -L "$library" ".$library"; done
        done
        """;

    private static void WriteText(TarWriter writer, string name, string text) =>
        writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)) });
}
