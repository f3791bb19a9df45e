using Starlight.Domain.Trees;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images.Tar;

/// <summary>Archives of one odd tree by GNU tar, bsdtar and Python, in every format each can write, against what stat(1) says of the tree.</summary>
public sealed class TarToolsTests : IDisposable
{
    private static readonly string Name120 = new('n', 120);
    private readonly ScratchDirectory _scratch = new();

    public TarToolsTests() => Tool.Bash(
        $$"""
        mkdir tree; cd tree
        mkdir -p d/{{Name120}}/{{Name120}}; chmod 2751 d
        echo hello > d/hello; chmod 4755 d/hello; touch -d '2001-02-03 04:05:06.789012345Z' d/hello
        : > empty; touch -d '1960-01-01Z' empty
        ln d/hello d/zz-second
        ln -s ../hello d/link; ln -s /{{Name120}}/{{Name120}} d/long-link
        echo deep > d/{{Name120}}/{{Name120}}/deep
        printf x > $'bytes-\xff\xfe'; printf y > $'new\nline'
        mkfifo fifo; mknod chr c 1 3; mknod blk b 7 1000
        chown 3000000000:3000000001 empty; chown 12:34 d/hello
        setfattr -n user.test -v 0x00ff d/hello; setfattr -n trusted.t -v x d
        setcap cap_net_raw+ep d/{{Name120}}/{{Name120}}/deep
        truncate -s 3M sparse; printf AB | dd of=sparse bs=1 seek=1048576 conv=notrunc status=none; printf C | dd of=sparse bs=1 seek=3000000 conv=notrunc status=none
        truncate -s 20M hole
        for i in $(seq 0 70); do printf x | dd of=many bs=1 seek=$((i * 65536)) conv=notrunc status=none; done
        # half seconds are exact in the floats that Python keeps times in
        find . ! -path ./d/hello ! -path ./d/zz-second ! -path ./empty -exec touch -h -d '2020-01-02 03:04:05.5Z' {} +
        """,
        _scratch.Path);

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("gnu", "tar --format=gnu -cf -", false)]
    [InlineData("gnu sparse", "tar --format=gnu -Scf -", false)]
    [InlineData("pax", "tar --format=pax --xattrs --xattrs-include=* -cf -", true)]
    [InlineData("pax sparse 0.0", "tar --format=pax --xattrs --xattrs-include=* --sparse-version=0.0 -Scf -", true)]
    [InlineData("pax sparse 0.1", "tar --format=pax --xattrs --xattrs-include=* --sparse-version=0.1 -Scf -", true)]
    [InlineData("pax sparse 1.0", "tar --format=pax --xattrs --xattrs-include=* --sparse-version=1.0 -Scf -", true)]
    [InlineData("bsd pax", "bsdtar --format=pax --xattrs -cf -", true)]
    [InlineData("bsd gnu", "touch -d @0 empty; bsdtar --format=gnutar -cf -", false)]
    [InlineData("python pax", "python3 -c 'import sys,tarfile; t=tarfile.open(fileobj=sys.stdout.buffer,mode=\"w|\",format=tarfile.PAX_FORMAT); [t.add(n) for n in sys.argv[1:]]; t.close()'", false)]
    [InlineData("python gnu", "python3 -c 'import sys,tarfile; t=tarfile.open(fileobj=sys.stdout.buffer,mode=\"w|\",format=tarfile.GNU_FORMAT); [t.add(n) for n in sys.argv[1:]]; t.close()'", false)]
    public async Task Scan_WhenWrittenByTool_SaysWhatStatSays(string tool, string command, bool xattrs)
    {
        Tool.Bash($"cd tree; {command} . > ../t.tar; cd ..; gzip -k t.tar; zstd -q t.tar", _scratch.Path);

        Application.Abstractions.Images.LayerScan plain = await LayerBlobs.ScanAsync(await File.ReadAllBytesAsync(_scratch["t.tar"]));
        Application.Abstractions.Images.LayerScan gzip = await LayerBlobs.ScanAsync(await File.ReadAllBytesAsync(_scratch["t.tar.gz"]));
        Application.Abstractions.Images.LayerScan zstd = await LayerBlobs.ScanAsync(await File.ReadAllBytesAsync(_scratch["t.tar.zst"]));

        bool wholeSeconds = tool.Contains("gnu", StringComparison.Ordinal);
        Describe(plain.Entries, wholeSeconds, xattrs).ShouldBe(FromStat(wholeSeconds, xattrs), tool);
        LayerBlobs.Text(gzip.Entries).ShouldBe(LayerBlobs.Text(plain.Entries));
        LayerBlobs.Text(zstd.Entries).ShouldBe(LayerBlobs.Text(plain.Entries));
        plain.DiffId.Hex.ShouldBe(Tool.Bash("sha256sum t.tar | cut -c1-64", _scratch.Path).Trim());
        (gzip.DiffId, zstd.DiffId, gzip.UncompressedSize).ShouldBe((plain.DiffId, plain.DiffId, new FileInfo(_scratch["t.tar"]).Length));
    }

    /// <summary>Sorted lines; a hard link is described as the file it is another name of.</summary>
    private static string Describe(IReadOnlyList<LayerEntry> entries, bool wholeSeconds, bool xattrs)
    {
        Dictionary<PosixPath, LayerEntry> byPath = entries.ToDictionary(e => e.Path);
        IEnumerable<string> lines = entries.Select(e =>
        {
            LayerEntry f = e.Kind == FileKind.HardLink ? byPath[e.LinkTarget] : e;
            string time = wholeSeconds ? $"{f.MtimeSeconds}" : $"{f.MtimeSeconds}.{f.MtimeNanoseconds / 1000:d6}";
            string kind = f.Kind switch
            {
                FileKind.Regular => f.Size == 0 ? "regular empty file" : "regular file",
                FileKind.Directory => "directory",
                FileKind.Symlink => "symbolic link",
                FileKind.Fifo => "fifo",
                FileKind.CharacterDevice => "character special file",
                _ => "block special file",
            };
            string extra = xattrs ? string.Concat(f.Xattrs.Select(x => $" {x.Name.Raw}=0x{Convert.ToHexStringLower(x.Value.Span)}")) : "";
            return $"{Escape(e.Path.Raw)} {kind} {Convert.ToString(f.Mode, 8)} {f.Uid}:{f.Gid} {f.Size} {f.DeviceMajor:x}:{f.DeviceMinor:x} {time} {(f.Content.IsDefault ? "-" : f.Content.Hex)} {f.LinkTarget.Raw}{extra}";
        });
        return string.Join('\n', lines.Order(StringComparer.Ordinal));
    }

    private string FromStat(bool wholeSeconds, bool xattrs)
    {
        // Python's tarfile keeps times as floats, good for a microsecond
        string script = $$"""
            import os, stat, sys, hashlib
            root = sys.argv[1].encode()
            kinds = {stat.S_IFDIR:'directory', stat.S_IFLNK:'symbolic link', stat.S_IFIFO:'fifo', stat.S_IFCHR:'character special file', stat.S_IFBLK:'block special file'}
            lines = []
            paths = [root] + [os.path.join(d, n) for d, ds, fs in os.walk(root) for n in ds + fs]
            for p in paths:
                s = os.lstat(p)
                reg = stat.S_ISREG(s.st_mode)
                kind = kinds.get(stat.S_IFMT(s.st_mode)) or ('regular file' if s.st_size else 'regular empty file')
                dev = '%x:%x' % (os.major(s.st_rdev), os.minor(s.st_rdev))
                t = str(s.st_mtime_ns // 10**9) + ('' if {{(wholeSeconds ? "True" : "False")}} else '.%06d' % (s.st_mtime_ns % 10**9 // 1000))
                digest = hashlib.sha256(open(p,'rb').read()).hexdigest() if reg else '-'
                link = os.readlink(p).decode('latin-1') if stat.S_ISLNK(s.st_mode) else ''
                xa = ''.join(' %s=0x%s' % (n, os.getxattr(p, n, follow_symlinks=False).hex()) for n in sorted(os.listxattr(p, follow_symlinks=False)) if n != 'security.selinux') if {{(xattrs ? "True" : "False")}} else ''
                name = p[len(root):].lstrip(b'/').decode('latin-1').replace('\n', '\\n')
                lines.append('%s %s %o %d:%d %d %s %s %s %s%s' % (name, kind, stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid, s.st_size if reg else 0, dev, t, digest, link, xa))
            sys.stdout.buffer.write('\n'.join(sorted(lines)).encode('utf-8'))
            """;
        return Tool.Run("python3", ["-c", script, _scratch["tree"]]);
    }

    private static string Escape(string name) => name.Replace("\n", "\\n", StringComparison.Ordinal);
}
