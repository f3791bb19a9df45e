using System.Text;
using Starlight.Domain.Images;
using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering;

/// <summary>
/// Finds the files that an image's command is sure to open, from the image alone:
/// 1. the program that Entrypoint and Cmd name, found through PATH, with its interpreter and libraries;
/// 2. what the arguments name: further programs (<c>docker-entrypoint.sh redis-server</c>), scripts, configuration files;
/// 3. what the C library reads in nearly every process.
/// In the order of their likely opening. Guesses that miss cost little: such a file is sent a little early.
/// </summary>
internal sealed class EntrypointFiles
{
    /// <summary>What execvp uses if PATH is not set, and what containerd gives a container.</summary>
    private const string DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// <summary>The kernel's own limit on interpreters of interpreters (BINPRM_MAX_RECURSION, fs/exec.c).</summary>
    private const int MaxInterpreters = 5;

    /// <summary>BINPRM_BUF_SIZE: what the kernel looks at to find the interpreter.</summary>
    private const int InterpreterLineLength = 256;

    /// <summary>Nearer to a start-up's hot set than to an image; bounds the work on a hostile one. Arbitrary.</summary>
    private const int MaxFiles = 4096;

    private static readonly string[] Ubiquitous =
    [
        "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/localtime", "/etc/ssl/openssl.cnf",
    ];

    private static readonly char[] ShellSeparators = [' ', '\t', '\n', ';', '&', '|', '(', ')', '<', '>', '"', '\'', '`'];

    private readonly TreeLookup _lookup;
    private readonly PeekContent _peek;
    private readonly LibrarySearch _libraries;
    private readonly string[] _command;
    private readonly string[] _path;
    private readonly string _workingDirectory;
    private readonly List<Inode> _files = [];
    private readonly HashSet<Inode> _seen = new(ReferenceEqualityComparer.Instance);

    public EntrypointFiles(FileTree tree, ImageConfig config, PeekContent peek)
    {
        _lookup = new TreeLookup(tree);
        _peek = peek;
        _command = [.. config.Entrypoint.Concat(config.Command).Select(a => PosixPath.FromText(a).Raw)];
        _path = (Variable(config, "PATH") ?? DefaultPath).Split(':', StringSplitOptions.RemoveEmptyEntries);
        _workingDirectory = "/" + PosixPath.FromText(config.WorkingDirectory).Raw;
        _libraries = new LibrarySearch(_lookup, Variable(config, "LD_LIBRARY_PATH"), peek);
    }

    public IReadOnlyList<Inode> Collect()
    {
        // 1. and 2.
        foreach (string argument in _command)
        {
            AddArgument(argument);
        }

        // 3.
        foreach (string path in Ubiquitous)
        {
            if (_lookup.Find(path) is { } found)
            {
                Add(found.Inode);
            }
        }

        return _files;
    }

    private static string? Variable(ImageConfig config, string name) =>
        config.Environment.LastOrDefault(e => e.StartsWith(name + "=", StringComparison.Ordinal)) is { } entry ? PosixPath.FromText(entry[(name.Length + 1)..]).Raw : null;

    private void AddArgument(string argument)
    {
        // --config=/etc/app.conf
        int equals = argument.IndexOf('=', StringComparison.Ordinal);
        if (argument.StartsWith('-') && equals > 0)
        {
            argument = argument[(equals + 1)..];
        }

        if (Program(argument) is { } program)
        {
            AddProgram(program, interpreters: 0);
            return;
        }

        // sh -c "exec nginx -g …": every word that is a program or a file
        string[] words = argument.Split(ShellSeparators, StringSplitOptions.RemoveEmptyEntries);
        if (words.Length > 1)
        {
            foreach (string word in words)
            {
                if (Program(word) is { } found)
                {
                    AddProgram(found, interpreters: 0);
                }
            }
        }
    }

    /// <summary>With a slash a path, otherwise a program on PATH or a file in the working directory (<c>python app.py</c>).</summary>
    private (PosixPath Path, Inode Inode)? Program(string name)
    {
        if (name.Length == 0 || name[0] == '-')
        {
            return null;
        }

        if (!name.Contains('/', StringComparison.Ordinal))
        {
            foreach (string directory in _path)
            {
                if (_lookup.Find(directory + "/" + name) is { Inode.Kind: FileKind.Regular } found && (found.Inode.Mode & 0x49) != 0) // any of 0111
                {
                    return found;
                }
            }
        }

        return _lookup.Find(name, _workingDirectory) is { Inode.Kind: FileKind.Regular } file ? file : null;
    }

    private void AddProgram((PosixPath Path, Inode Inode) program, int interpreters)
    {
        if (!Add(program.Inode) || _peek(program.Inode.Content, 0, InterpreterLineLength) is not { } head)
        {
            return;
        }

        if (!head.Span.StartsWith("#!"u8))
        {
            AddElf(program);
            return;
        }

        int end = head.Span.IndexOf((byte)'\n');
        string line = Encoding.Latin1.GetString(head.Span[2..(end < 0 ? head.Length : end)]);
        string[] words = line.Split((char[])[' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0 || interpreters >= MaxInterpreters)
        {
            return;
        }

        if (_lookup.Find(words[0]) is { Inode.Kind: FileKind.Regular } interpreter)
        {
            AddProgram(interpreter, interpreters + 1);
        }

        // #!/usr/bin/env [-S] [NAME=value …] python3
        if (words[0].EndsWith("/env", StringComparison.Ordinal)
            && words.Skip(1).FirstOrDefault(w => w[0] != '-' && !w.Contains('=', StringComparison.Ordinal)) is { } name
            && Program(name) is { } named)
        {
            AddProgram(named, interpreters + 1);
        }
    }

    /// <summary>The loader first, as the kernel opens it, then the libraries breadth first, as the loader does.</summary>
    private void AddElf((PosixPath Path, Inode Inode) program)
    {
        if (Elf(program.Inode) is not { } elf)
        {
            return;
        }

        if (elf.Interpreter is { } interpreter && _lookup.Find(interpreter) is { } loader)
        {
            Add(loader.Inode);
            if (elf.Needed.Count > 0 && _lookup.Find("/etc/ld.so.cache") is { } cache)
            {
                Add(cache.Inode);
            }
        }

        Queue<(PosixPath Path, ElfFile Elf)> users = new();
        users.Enqueue((program.Path, elf));
        while (users.TryDequeue(out (PosixPath Path, ElfFile Elf) user))
        {
            foreach (string name in user.Elf.Needed)
            {
                foreach ((PosixPath path, Inode inode) in _libraries.Candidates(name, user.Elf, user.Path))
                {
                    ElfFile? library = _seen.Contains(inode) ? null : Elf(inode);
                    if (library is not null && library.Kind != elf.Kind)
                    {
                        continue;
                    }

                    if (Add(inode) && library is not null)
                    {
                        users.Enqueue((path, library));
                    }

                    break;
                }
            }
        }
    }

    private ElfFile? Elf(Inode inode) => ElfFile.TryRead((offset, length) => _peek(inode.Content, offset, length));

    /// <returns>False if there is nothing more to find out about it.</returns>
    private bool Add(Inode inode)
    {
        if (inode.Kind != FileKind.Regular || inode.Size == 0 || _files.Count >= MaxFiles || !_seen.Add(inode))
        {
            return false;
        }

        _files.Add(inode);
        return true;
    }
}
