using System.Text;
using System.Text.RegularExpressions;
using Starlight.Domain.Images;
using Starlight.Domain.Ordering.Languages;
using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering;

/// <summary>
/// Finds the files that an image's command is sure to open, from the image alone:
/// 1. what the container's runtime reads to find out who the user is, before there is a process, and what the C library reads in nearly every one: some kilobytes;
/// 2. the program that Entrypoint and Cmd name, found through PATH, with its interpreter and libraries, and what its language's runtime opens (<see cref="Languages"/>);
/// 3. what the arguments name: further programs (<c>docker-entrypoint.sh redis-server</c>), scripts with what they import or run, configuration files;
/// 4. the small files of the programs' own directories below /etc.
/// In the order of their likely opening. Guesses that miss cost little: such a file is sent a little early.
/// </summary>
internal sealed class EntrypointFiles
{
    /// <summary>What execvp uses if PATH is not set, and what containerd gives a container.</summary>
    private const string DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /// <summary>Interpreters of interpreters (the kernel follows 5, BINPRM_MAX_RECURSION in fs/exec.c) and scripts that run scripts.</summary>
    private const int MaxDepth = 5;

    /// <summary>Scripts have as many commands as these at most that say something. Arbitrary; bounds the work on a hostile one.</summary>
    private const int MaxCommands = 2000;

    /// <summary>A configuration file is small; what is larger below /etc is data. Arbitrary.</summary>
    private const int MaxConfiguration = 64 << 10;

    /// <summary>Of one program. Arbitrary.</summary>
    private const int MaxConfigurations = 64;

    /// <summary>BINPRM_BUF_SIZE: what the kernel looks at to find the interpreter.</summary>
    private const int InterpreterLineLength = 256;

    /// <summary>Nearer to a start-up's hot set than to an image; bounds the work on a hostile one. Arbitrary.</summary>
    private const int MaxFiles = 4096;

    private static readonly string[] Ubiquitous =
    [
        "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/localtime", "/etc/ssl/openssl.cnf",
    ];

    private static readonly string[] Shells = ["sh", "bash", "dash", "ash", "ksh"];

    /// <summary>0111</summary>
    private const int AnyExecute = 0x49;

    private readonly TreeLookup _lookup;
    private readonly PeekContent _peek;
    private readonly LibrarySearch _libraries;
    private readonly string[] _command;
    private readonly List<string> _path;
    private readonly Dictionary<string, string> _environment;
    private readonly FoundFiles _found;
    private readonly string _workingDirectory;
    private readonly List<Inode> _files = [];
    private readonly HashSet<Inode> _seen = new(ReferenceEqualityComparer.Instance);

    /// <summary>Programs with the beginning of their arguments, each followed once.</summary>
    private readonly HashSet<(PosixPath Program, string Arguments)> _runs = [];

    /// <summary>Names of the programs, for their configuration.</summary>
    private readonly List<string> _names = [];

    public EntrypointFiles(FileTree tree, ImageConfig config, PeekContent peek)
    {
        _lookup = new TreeLookup(tree);
        _peek = peek;
        _command = [.. config.Entrypoint.Concat(config.Command).Select(a => PosixPath.FromText(a).Raw)];
        _path = [.. (Variable(config, "PATH") ?? DefaultPath).Split(':', StringSplitOptions.RemoveEmptyEntries)];
        _environment = config.Environment.Select(e => PosixPath.FromText(e).Raw.Split('=', 2)).Where(e => e.Length == 2 && e[0] != "PATH").GroupBy(e => e[0], StringComparer.Ordinal).ToDictionary(e => e.Key, e => e.Last()[1], StringComparer.Ordinal);
        _workingDirectory = "/" + PosixPath.FromText(config.WorkingDirectory).Raw;
        _libraries = new LibrarySearch(_lookup, Variable(config, "LD_LIBRARY_PATH"), peek);
        _found = new FoundFiles(_lookup, peek, AddWithLibraries);
    }

    public IReadOnlyList<Inode> Collect()
    {
        // 1.
        foreach (string path in Ubiquitous)
        {
            if (_lookup.Find(path) is { } found)
            {
                Add(found.Inode);
            }
        }

        // 2. and 3.
        for (int i = 0; i < _command.Length; i++)
        {
            AddArgument(_command[i], _command[(i + 1)..]);
        }

        // 4.
        foreach (string name in _names.Distinct(StringComparer.Ordinal))
        {
            AddConfiguration(name);
        }

        return _files;
    }

    private static string? Variable(ImageConfig config, string name) =>
        config.Environment.LastOrDefault(e => e.StartsWith(name + "=", StringComparison.Ordinal)) is { } entry ? PosixPath.FromText(entry[(name.Length + 1)..]).Raw : null;

    private void AddArgument(string argument, string[] following)
    {
        // --config=/etc/app.conf
        int equals = argument.IndexOf('=', StringComparison.Ordinal);
        if (argument.StartsWith('-') && equals > 0)
        {
            argument = argument[(equals + 1)..];
        }

        if (Program(argument) is { } program)
        {
            AddProgram(program, following, depth: 0);
            return;
        }

        // sh -c "exec nginx -g …"
        if (argument.AsSpan().ContainsAny(' ', '\n'))
        {
            AddCommands(argument, depth: 0);
        }
    }

    /// <summary>What a shell runs or reads: of each command the program with its arguments, and the files that these name.</summary>
    private void AddCommands(string text, int depth)
    {
        ShellScript script = new(_environment);
        foreach (string[] words in script.Commands(text).Take(MaxCommands))
        {
            _path.AddRange(script.Path.Except(_path, StringComparer.Ordinal));
            for (int i = 0; i < words.Length; i++)
            {
                // behind the first word only what is plainly a file or, as behind exec, gosu or setpriv, a program in a directory of programs
                if (Program(words[i]) is { } found && (i == 0 || words[i].Contains('/', StringComparison.Ordinal) || (found.Inode.Mode & AnyExecute) != 0))
                {
                    AddProgram(found, words[(i + 1)..], depth + 1);
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
                if (_lookup.Find(directory + "/" + name) is { Inode.Kind: FileKind.Regular } found && (found.Inode.Mode & AnyExecute) != 0)
                {
                    return found;
                }
            }
        }

        return _lookup.Find(name, _workingDirectory) is { Inode.Kind: FileKind.Regular } file ? file : null;
    }

    private void AddProgram((PosixPath Path, Inode Inode) program, string[] arguments, int depth)
    {
        if (depth > MaxDepth || !_runs.Add((program.Path, string.Join(' ', arguments.Take(3)))))
        {
            return;
        }

        Add(program.Inode);
        if (program.Inode.Size == 0 || _peek(program.Inode.Content, 0, InterpreterLineLength) is not { } head)
        {
            return;
        }

        if (!head.Span.StartsWith("#!"u8))
        {
            AddElf(program);
            AddRuntime(program, arguments);
            return;
        }

        int end = head.Span.IndexOf((byte)'\n');
        string line = Encoding.Latin1.GetString(head.Span[2..(end < 0 ? head.Length : end)]);
        string[] words = line.Split((char[])[' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
        if (words.Length > 0)
        {
            AddInterpreter(words, program, ["/" + program.Path.Raw, .. arguments], depth);
        }
    }

    private void AddInterpreter(string[] words, (PosixPath Path, Inode Inode) script, string[] arguments, int depth)
    {
        string name = words[0];
        if (_lookup.Find(words[0]) is { Inode.Kind: FileKind.Regular } interpreter)
        {
            AddProgram(interpreter, arguments, depth + 1);
        }

        // #!/usr/bin/env [-S] [NAME=value …] python3
        if (words[0].EndsWith("/env", StringComparison.Ordinal)
            && words.Skip(1).FirstOrDefault(w => w[0] != '-' && !w.Contains('=', StringComparison.Ordinal)) is { } named
            && Program(named) is { } program)
        {
            name = named;
            AddProgram(program, arguments, depth + 1);
        }

        if (Shells.Contains(name[(name.LastIndexOf('/') + 1)..]) && _found.Read(script) is { } text)
        {
            AddCommands(text, depth);
        }
    }

    /// <summary>What the program's language opens for it: its own runtime's files, and what the program in that language asks for.</summary>
    private void AddRuntime((PosixPath Path, Inode Inode) program, string[] arguments)
    {
        string name = program.Path.Name.Raw;
        _names.Add(name);
        string? script = arguments.FirstOrDefault(a => a.Length > 0 && a[0] != '-');
        try
        {
            if (PythonImports.Of(program, _found) is { } python)
            {
                python.AddStart();
                if (Array.IndexOf(arguments, "-m") is >= 0 and int at && at + 1 < arguments.Length)
                {
                    python.AddModule(arguments[at + 1], _workingDirectory);
                }
                else if (script is not null && _found.File(script, _workingDirectory) is { } file)
                {
                    _found.Add(file);
                    python.AddScript(file);
                }
            }
            else if (name is "node" or "nodejs" && script is not null && _found.File(script, _workingDirectory) is { } file)
            {
                _found.Add(file);
                new NodeRequires(_found).AddScript(file);
            }
            else if (name == "java")
            {
                JavaRuntime.Add(program, arguments, _workingDirectory, _found);
            }
        }
        catch (RegexMatchTimeoutException)
        {
            // made to take long: what has been found so far will do
        }
    }

    /// <summary>/etc/NAME and what is in it; names such as <c>redis-server</c> keep theirs under the first part.</summary>
    private void AddConfiguration(string name)
    {
        int left = MaxConfigurations;
        foreach (string directory in new[] { name, name.Split('-')[0].TrimEnd('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '.') }.Where(n => n.Length > 2).Distinct(StringComparer.Ordinal))
        {
            Stack<(string Path, int Depth)> pending = new([("/etc/" + directory, 0)]);
            while (pending.TryPop(out (string Path, int Depth) next))
            {
                foreach ((PosixPath entry, _) in _found.Directory(next.Path) ?? Enumerable.Empty<KeyValuePair<PosixPath, Inode>>())
                {
                    string path = next.Path + "/" + entry.Raw;
                    if (_found.File(path) is { } file)
                    {
                        if (file.Inode.Size <= MaxConfiguration && left-- > 0)
                        {
                            Add(file.Inode);
                        }
                    }
                    else if (next.Depth < 2)
                    {
                        pending.Push((path, next.Depth + 1));
                    }
                }
            }
        }
    }

    private bool AddWithLibraries((PosixPath Path, Inode Inode) file)
    {
        if (!Add(file.Inode))
        {
            return false;
        }

        AddElf(file);
        return true;
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
