namespace Starlight.Domain.UnitTests.Ordering;

/// <summary>What an image leads to beyond its program: scripts, their imports, the runtimes of languages. The expected lists are in the order of opening.</summary>
public class LanguageTests
{
    private static readonly byte[] Elf = ElfSample.Build(null, []);

    [Fact]
    public void ShellScript_LeadsToWhatItRunsAndReads()
    {
        SmallImage image = new SmallImage()
            .Program("bin/sh", Elf)
            .Program(
                "entry.sh",
                """
                #!/bin/sh
                # never run: /opt/comment
                set -e
                ROOT=/opt/app
                export PATH="$ROOT/bin:$PATH"
                if [ -f /etc/app.conf ]; then . "${ROOT}/env"; fi
                exec server --config $UNKNOWN/x "$@"
                """)
            .Program("opt/app/bin/server", Other(1))
            .Program("opt/comment", Other(2))
            .File("opt/app/env", "A=1")
            .File("etc/app.conf", "b")
            .Program("usr/bin/test", Other(3));

        image.Hot(["/entry.sh"]).ShouldBe(["entry.sh", "bin/sh", "etc/app.conf", "opt/app/env", "opt/app/bin/server"]);
    }

    /// <summary>As Tomcat's scripts do: a variable of the first script names what the second sources, which looks for its program.</summary>
    [Fact]
    public void ShellScript_LeadsThroughScriptsWithTheirVariables()
    {
        SmallImage image = new SmallImage()
            .Program("bin/sh", Elf)
            .Program("start.sh", "#!/bin/sh\nexport HOME_OF=/opt/app\nexec /opt/app/run.sh \"$@\"")
            .Program("opt/app/run.sh", "#!/bin/sh\n[ -z \"$HOME_OF\" ] && HOME_OF=`cd ..; pwd`\n. \"$HOME_OF\"/setup.sh\neval \"$FOUND\"")
            .File("opt/app/setup.sh", "#!/bin/sh\nFOUND=`which server 2>/dev/null`")
            .Program("usr/bin/server", Other(1));

        image.Hot(["/start.sh"]).ShouldBe(["start.sh", "bin/sh", "opt/app/run.sh", "opt/app/setup.sh", "usr/bin/server"]);
    }

    /// <summary>How scripts of Java programs find out where they are: what the loop runs is needed only if the script is a symbolic link.</summary>
    [Fact]
    public void ShellScript_TakesWhatFollowsSymbolicLinksLast()
    {
        SmallImage image = new SmallImage()
            .Program("bin/sh", Elf)
            .Program("start.sh", "#!/bin/sh\nPRG=\"$0\"\nwhile [ -h \"$PRG\" ]; do\n  ls=`ls -ld \"$PRG\"`\n  link=`expr \"$ls\" : 'x'`\ndone\nPRGDIR=`dirname \"$PRG\"`\nexec server")
            .Program("usr/bin/ls", Other(1))
            .Program("usr/bin/expr", Other(2))
            .Program("usr/bin/dirname", Other(3))
            .Program("usr/bin/server", Other(4));

        image.Hot(["/start.sh"]).ShouldBe(["start.sh", "bin/sh", "usr/bin/dirname", "usr/bin/server", "usr/bin/ls", "usr/bin/expr"]);
    }

    [Fact]
    public void Python_LeadsToWhatModulesImportAtTheTopLevel()
    {
        SmallImage image = new SmallImage()
            .Program("usr/bin/python3.11", Elf)
            .Symlink("usr/bin/python3", "python3.11")
            .File("usr/lib/python3.11/encodings/__init__.py", "import codecs")
            .File("usr/lib/python3.11/codecs.py", "#codecs")
            .File("usr/lib/python3.11/__pycache__/codecs.cpython-311.pyc", "compiled codecs")
            .File("usr/lib/python3.11/json/__init__.py", "from .decoder import JSONDecoder\nfrom . import scanner")
            .File("usr/lib/python3.11/json/decoder.py", "import late_a  # same line\nimport re, os.path as p")
            .File("usr/lib/python3.11/json/scanner.py", "#scanner")
            .File("usr/lib/python3.11/re.py", "#re")
            .File("usr/lib/python3.11/never.py", "#never")
            .File("usr/lib/python3.11/typed.py", "#typed")
            .File("usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so", "so")
            .File("usr/lib/python3/dist-packages/flask/__init__.py", "from .app import (\n    Flask,\n    jsonify,\n)")
            .File("usr/lib/python3/dist-packages/flask/app.py", "#flask app")
            .File("srv/own.py", "#own")
            .File(
                "srv/app.py",
                """
                import json
                try:
                    import _ssl
                except ImportError:
                    pass
                from flask import Flask
                if TYPE_CHECKING:
                    import typed
                def later():
                    import never
                import own
                """);

        image.Hot(["python3", "/srv/app.py"]).ShouldBe(
        [
            "usr/bin/python3.11",
            "usr/lib/python3.11/encodings/__init__.py",
            "usr/lib/python3.11/__pycache__/codecs.cpython-311.pyc",
            "srv/app.py",
            "usr/lib/python3.11/json/__init__.py",
            "usr/lib/python3.11/json/decoder.py",
            "usr/lib/python3.11/re.py",
            "usr/lib/python3.11/json/scanner.py",
            "usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so",
            "usr/lib/python3/dist-packages/flask/__init__.py",
            "usr/lib/python3/dist-packages/flask/app.py",
            "srv/own.py",
        ]);
    }

    [Fact]
    public void Node_LeadsToWhatModulesRequire()
    {
        SmallImage image = new SmallImage()
            .Program("usr/bin/node", Elf)
            .File("srv/package.json", "{}")
            .File("srv/app.js", "const a = require('./lib/a'); import b from \"b\"; require(variable); require('fs')")
            .File("srv/lib/a.js", "module.exports = require('../data')")
            .File("srv/data.json", "{ }")
            .File("srv/node_modules/b/package.json", "{\"main\": \"dist/index\"}")
            .File("srv/node_modules/b/dist/index.js", "require('c')")
            .File("usr/share/nodejs/c/index.js", "require('./../c/index.js')")
            .File("usr/share/nodejs/d/index.js", "unused");

        image.Hot(["node"], ["/srv/app.js"]).ShouldBe(
        [
            "usr/bin/node", "srv/app.js", "srv/package.json", "srv/lib/a.js", "srv/data.json", "srv/node_modules/b/package.json", "srv/node_modules/b/dist/index.js", "usr/share/nodejs/c/index.js",
        ]);
    }

    [Fact]
    public void Java_LeadsToTheVirtualMachineAndTheClassPath()
    {
        SmallImage image = new SmallImage()
            .Program("usr/lib/jvm/java-17/bin/java", Elf)
            .Symlink("usr/bin/java", "/usr/lib/jvm/java-17/bin/java")
            .File("usr/lib/jvm/java-17/lib/modules", "modules")
            .File("usr/lib/jvm/java-17/lib/server/libjvm.so", "jvm")
            .File("usr/lib/jvm/java-17/lib/src.zip", "never")
            .File("srv/app.jar", "app")
            .File("srv/lib/one.jar", "one")
            .File("srv/lib/readme", "no");

        image.Hot(["java", "-cp", "app.jar:lib/*", "Main"], workingDirectory: "/srv").ShouldBe(
            ["usr/lib/jvm/java-17/bin/java", "usr/lib/jvm/java-17/lib/server/libjvm.so", "usr/lib/jvm/java-17/lib/modules", "srv/app.jar", "srv/lib/one.jar"]);
    }

    [Theory]
    [InlineData("CATALINA_HOME=/opt/tomcat")]
    [InlineData("CATALINA_HOME=/opt/tomcat", "CATALINA_BASE=/srv/shop")]
    public void Tomcat_LeadsToItsLibrariesAndConfiguration(params string[] environment)
    {
        string root = environment.Length > 1 ? "srv/shop" : "opt/tomcat";
        SmallImage image = new SmallImage()
            .Program("bin/sh", Other(1))
            .Program("opt/tomcat/bin/catalina.sh", "#!/bin/sh\n[ -z \"$CATALINA_BASE\" ] && CATALINA_BASE=\"$CATALINA_HOME\"\nexec java -cp \"$CLASSPATH\" org.apache.catalina.startup.Bootstrap \"$@\"\n")
            .Program("opt/jdk/bin/java", Elf)
            .Symlink("usr/bin/java", "/opt/jdk/bin/java")
            .File("opt/jdk/lib/modules", "modules")
            .File("opt/tomcat/bin/bootstrap.jar", "bootstrap")
            .File("opt/tomcat/lib/catalina.jar", "catalina")
            .File("opt/tomcat/lib/readme", "no")
            .File(root + "/conf/server.xml", "server");

        image.Hot(["/opt/tomcat/bin/catalina.sh", "run"], environment: environment).ShouldBe(
            ["opt/tomcat/bin/catalina.sh", "bin/sh", "opt/jdk/bin/java", "opt/jdk/lib/modules", "opt/tomcat/bin/bootstrap.jar", root + "/conf/server.xml", "opt/tomcat/lib/catalina.jar"]);
    }

    [Fact]
    public void Configuration_OfTheProgram_IsTakenIfItIsSmall()
    {
        SmallImage image = new SmallImage()
            .Program("usr/sbin/nginx", Elf)
            .File("etc/nginx/nginx.conf", "conf")
            .File("etc/nginx/conf.d/site.conf", "site")
            .File("etc/nginx/geo.db", new string('x', 100_000))
            .File("etc/other/file", "no");

        image.Hot(["nginx"]).ShouldBe(["usr/sbin/nginx", "etc/nginx/nginx.conf", "etc/nginx/conf.d/site.conf"]);
    }

    /// <summary>A circle, a script that names itself, a module that imports itself: each is read once.</summary>
    [Fact]
    public void Circles_End()
    {
        SmallImage image = new SmallImage()
            .Program("bin/sh", Elf)
            .Program("a.sh", "#!/bin/sh\n/b.sh one\n/a.sh two $@")
            .Program("b.sh", "#!/bin/sh\n/a.sh three\n/b.sh four")
            .Program("usr/bin/python3.11", Other(1))
            .File("usr/lib/python3.11/x.py", "import y")
            .File("usr/lib/python3.11/y.py", "import x, y")
            .File("c.py", "import x");

        image.Hot(["/a.sh", "python3.11", "/c.py"]).ShouldBe(["a.sh", "bin/sh", "b.sh", "usr/bin/python3.11", "c.py", "usr/lib/python3.11/x.py", "usr/lib/python3.11/y.py"], ignoreOrder: true);
    }

    /// <summary>Another program than the shell: equal bytes would be one content.</summary>
    private static byte[] Other(byte seed) => [.. Elf, seed];
}
