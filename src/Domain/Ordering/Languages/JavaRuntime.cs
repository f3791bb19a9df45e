using Starlight.Domain.Trees;

namespace Starlight.Domain.Ordering.Languages;

/// <summary>
/// What a Java virtual machine opens by itself (JDK 9 and later, in the order that strace shows for 17), and the archives that its command line names.
/// </summary>
internal static class JavaRuntime
{
    private static readonly string[] Files =
    [
        "lib/libjli.so", "lib/jvm.cfg", "lib/server/libjvm.so", "lib/libjsvml.so", "lib/libjava.so", "lib/libjimage.so", "lib/modules", "lib/server/classes.jsa", "lib/libzip.so", "conf/security/java.security",
        "lib/libnio.so", "lib/libnet.so", "lib/libextnet.so", "lib/libmanagement.so", "lib/libmanagement_ext.so", "lib/libverify.so", "lib/tzdb.dat", "conf/logging.properties", "conf/net.properties",
    ];

    private static readonly string[] TomcatConfiguration = ["logging.properties", "catalina.properties", "server.xml", "context.xml", "web.xml", "tomcat-users.xml"];

    private static readonly string[] ClassPath = ["-cp", "-classpath", "--class-path", "-p", "--module-path", "-jar"];

    /// <param name="program">Real path of <c>java</c>.</param>
    /// <param name="arguments">What follows it on the command line.</param>
    /// <param name="workingDirectory">Of relative names.</param>
    /// <param name="files">Where to.</param>
    public static void Add((PosixPath Path, Inode Inode) program, IReadOnlyList<string> arguments, string workingDirectory, FoundFiles files)
    {
        string home = "/" + program.Path.Parent.Parent.Raw + "/";
        if (files.File(home + "lib/modules") is null)
        {
            return;
        }

        foreach (string name in Files)
        {
            if (files.File(home + name) is { } file)
            {
                files.Add(file);
            }
        }

        for (int i = 0; i + 1 < arguments.Count; i++)
        {
            if (!ClassPath.Contains(arguments[i]))
            {
                continue;
            }

            foreach (string entry in arguments[i + 1].Split(':', StringSplitOptions.RemoveEmptyEntries))
            {
                AddArchives(entry, workingDirectory, files);
            }
        }
    }

    /// <summary>Tomcat's class loader opens every archive in its libraries before the first application (catalina.properties, common.loader).</summary>
    /// <param name="home">CATALINA_HOME.</param>
    /// <param name="instance">CATALINA_BASE.</param>
    /// <param name="files">Where to.</param>
    public static void AddTomcat(string home, string instance, FoundFiles files)
    {
        foreach (string name in (string[])[home + "/bin/bootstrap.jar", home + "/bin/tomcat-juli.jar", .. TomcatConfiguration.Select(c => instance + "/conf/" + c)])
        {
            if (files.File(name) is { } file)
            {
                files.Add(file);
            }
        }

        AddArchives(instance + "/lib/*", "/", files);
        AddArchives(home + "/lib/*", "/", files);
    }

    /// <summary>An archive, or <c>directory/*</c>.</summary>
    private static void AddArchives(string entry, string workingDirectory, FoundFiles files)
    {
        if (!entry.EndsWith("/*", StringComparison.Ordinal))
        {
            if (files.File(entry, workingDirectory) is { } archive)
            {
                files.Add(archive);
            }

            return;
        }

        string directory = entry[..^2];
        directory = directory.StartsWith('/') ? directory : workingDirectory + "/" + directory;
        foreach ((PosixPath name, _) in files.Directory(directory) ?? Enumerable.Empty<KeyValuePair<PosixPath, Inode>>())
        {
            if (name.Raw.EndsWith(".jar", StringComparison.Ordinal) && files.File(directory + "/" + name.Raw) is { } archive)
            {
                files.Add(archive);
            }
        }
    }
}
