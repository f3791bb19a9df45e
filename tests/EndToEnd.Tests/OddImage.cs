using Starlight.TestKit;

namespace Starlight.EndToEnd.Tests;

/// <summary>An image with everything that a layer may hold, packed by GNU tar, in five layers that change each other.</summary>
internal static class OddImage
{
    /// <summary>Directories that the top layer has files in but does not describe.</summary>
    public static readonly string[] Implied = ["/implied", "/implied/by", "/merged"];

    private static readonly string[] s_layers =
    [
        // 0: everything once. Each script runs in an empty directory and ends with a list of names for tar on standard output.
        """
        mkdir -p bin dev proc sys run tmp mnt etc; chmod 1777 tmp
        mkdir gone merged opaque opaque/sub replaced
        echo gone > gone/file; echo stays > merged/stays; echo hidden > merged/hidden
        echo below > opaque/below; echo below > opaque/sub/below
        echo directory > replaced/inside; echo file > becomes-directory
        echo file > back-and-forth
        mkdir links; echo linked > links/a; ln links/a links/b; ln links/a c-elsewhere; echo pair > links/x; ln links/x links/y
        ln -s ../etc links/symlink; ln -s /absolute/nowhere dangling; ln -s "$(printf 'x%.0s' $(seq 1 1000))" long-symlink; ln links/symlink links/symlink-linked
        mknod device-c c 1 3; mknod device-b b 259 300; mkfifo fifo; chmod 640 fifo
        echo attributes > attributes; setfattr -n user.one -v 1 attributes; setfattr -n user.binary -v 0x00ff0a22 attributes; setfattr -n user.empty attributes
        mkdir with-attributes; setfattr -n user.dir -v yes with-attributes
        echo program > capable; chmod 755 capable; setcap cap_net_raw,cap_net_bind_service+ep capable
        echo s > setuid; chmod 4755 setuid; echo s > setgid; chmod 2711 setgid; mkdir sticky setgid-dir; chmod 1770 sticky; chmod 2775 setgid-dir
        echo o > owned; chown 4000000000:70000 owned; mkdir owned-dir; chown 33:44 owned-dir; chmod 000 owned-dir
        : > empty; : > empty2; chmod 600 empty2
        truncate -s 20M sparse; printf head | dd of=sparse conv=notrunc status=none; printf middle | dd of=sparse bs=1 seek=10000000 conv=notrunc status=none
        truncate -s 3M all-hole
        mkdir names; cd names
        echo 1 > ' leading and trailing '; echo 2 > 'tab	new
        line'; echo 3 > 'Grüße ☃ 🚀'; echo 4 > "$(printf 'not\377utf8\200')"; echo 5 > "$(printf 'n%.0s' $(seq 1 255))"; echo 6 > 'quote"back\slash'; echo 7 > '-dash'; echo 8 > '.hidden'
        echo 9 > '.wh'; echo 10 > 'x.wh.y'; mkdir "$(printf 'd%.0s' $(seq 1 255))"
        cd ..
        deep=deep; for i in $(seq 1 60); do deep=$deep/level-$i-of-a-path-that-is-long; done; mkdir -p $deep; echo deep > $deep/file
        touch -d '2001-02-03 04:05:06.123456789' attributes links/a; touch -h -d '1999-12-31 23:59:59.999999999' dangling; touch -d '1970-01-01 00:00:00' empty
        head -c 700000 /dev/urandom > random; cp random random-copy; head -c 5000000 /dev/zero | tr '\0' a > compressible
        find . -type d -exec touch -d '2010-10-10 10:10:10.101010101' {} +
        """,

        // 1: whiteouts, an opaque directory, replacements
        """
        mkdir merged opaque
        : > .wh.gone; : > merged/.wh.hidden; echo new > merged/new
        : > opaque/.wh..wh..opq; echo above > opaque/above
        echo 'a file now' > replaced
        mkdir becomes-directory; echo inside > becomes-directory/inside
        : > .wh.back-and-forth
        : > .wh.never-was
        chmod 711 merged; touch -d '2011-11-11 11:11:11.111111111' merged becomes-directory
        """,

        // 2: and back; one name of a group replaced, another removed
        """
        mkdir -p back-and-forth links opaque
        echo dir > back-and-forth/inside
        echo 'no longer linked' > links/b; : > links/.wh.y
        : > .wh.becomes-directory; mkdir -p merged; : > merged/.wh.stays
        mkdir opaque/sub; echo again > opaque/sub/again
        touch -d '2012-12-12 12:12:12.121212121' back-and-forth opaque/sub links opaque merged
        """,

        // 3: the same again in other shapes; a changed attribute is a whole new file; hard links of a layer's own
        """
        echo 'file again' > back-and-forth
        mkdir replaced; echo 'directory again' > replaced/inside; echo 'file again' > becomes-directory
        echo attributes > attributes; setfattr -n user.two -v 2 attributes; chmod 600 attributes
        mkdir -p links; echo linked > links/a; ln links/a links/new-name
        mkdir gone; echo back > gone/other
        touch -d '2013-01-13 13:13:13.131313131' replaced links gone attributes
        """,

        // 4: files without their directories
        """
        mkdir -p implied/by merged; echo implied > implied/by/file; echo late > merged/late
        """,
    ];

    public static async Task<string> PushAsync(StarlightStack stack, string repositoryAndTag) => await PushAsync(stack, repositoryAndTag, await LayersAsync());

    /// <summary>Pushes an image of these layers, base first.</summary>
    public static async Task<string> PushAsync(StarlightStack stack, string repositoryAndTag, IReadOnlyList<byte[]> layers)
    {
        string[] place = repositoryAndTag.Split(':');
        using ImagePusher pusher = new(stack.Registry.Host, place[0]);
        await pusher.ImageAsync(place[1], layers, Starlight.Domain.Images.Platform.Local.ToString());
        return stack.Reference(repositoryAndTag);
    }

    /// <summary>The layers as tar archives, base first. No two calls give the same bytes.</summary>
    public static async Task<IReadOnlyList<byte[]>> LayersAsync()
    {
        using ScratchDirectory scratch = new();
        List<byte[]> layers = [];
        for (int i = 0; i < s_layers.Length; i++)
        {
            string tree = scratch.Create($"layer{i}");
            Tool.Bash(s_layers[i].Replace("\r", "", StringComparison.Ordinal), tree);

            // the last layer's archive names files only
            string archive = scratch[$"layer{i}.tar"];
            string names = i == s_layers.Length - 1 ? "find . -type f -printf '%P\\0'" : "find . -mindepth 1 -printf '%P\\0' | LC_ALL=C sort -z";
            Tool.Bash($"{names} | tar --create --file {archive} --format=posix --sparse --xattrs --xattrs-include='*' --numeric-owner --no-recursion --null --verbatim-files-from --files-from=-", tree);
            layers.Add(await File.ReadAllBytesAsync(archive));
        }

        return layers;
    }
}
