#pragma warning disable CA1416 // Unix file modes: Starlight runs on Linux only
using System.Net.Sockets;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.IntegrationTests.Grpc;

public sealed class UnixSocketListenerTests : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("starlight-sock-");

    private string SocketPath => Path.Combine(_directory.FullName, "run", "daemon.sock");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void Bind_WhenFree_MakesAPrivateSocketInAPublicDirectoryAndTakesItAway()
    {
        using (UnixSocketListener listener = UnixSocketListener.Bind(SocketPath))
        {
            File.GetUnixFileMode(SocketPath).ShouldBe(OwnerOnly);
            File.GetUnixFileMode(Path.GetDirectoryName(SocketPath)!).ShouldBe((UnixFileMode)0b111_101_101);
            Connects().ShouldBeTrue();
            Directory.GetFileSystemEntries(Path.GetDirectoryName(SocketPath)!).Select(Path.GetFileName).ShouldBe(["daemon.sock", "daemon.sock.lock"], ignoreOrder: true);
        }

        File.Exists(SocketPath).ShouldBeFalse();
    }

    [Fact]
    public void Bind_WhenALiveListenerHoldsIt_IsRefusedAndTheOtherLivesOn()
    {
        using UnixSocketListener listener = UnixSocketListener.Bind(SocketPath);

        Failure().Code.ShouldBe("Socket.InUse");
        Connects().ShouldBeTrue();
    }

    [Fact]
    public void Bind_WhenAForeignProcessListens_IsRefused()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(SocketPath)!);
        using Socket foreign = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        foreign.Bind(new UnixDomainSocketEndPoint(SocketPath));
        foreign.Listen();

        Error error = Failure();

        error.Code.ShouldBe("Socket.InUse");
        error.Kind.ShouldBe(ErrorKind.FailedPrecondition);
        Connects().ShouldBeTrue();
    }

    [Fact]
    public void Bind_WhenTheSocketIsStale_ReplacesIt()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(SocketPath)!);
        StaleSocket.Create(SocketPath);
        Connects().ShouldBeFalse();

        using UnixSocketListener listener = UnixSocketListener.Bind(SocketPath);

        Connects().ShouldBeTrue();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Bind_WhenSomethingElseIsThere_LeavesItAlone(bool directory)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(SocketPath)!);
        if (directory)
        {
            Directory.CreateDirectory(SocketPath);
        }
        else
        {
            File.WriteAllText(SocketPath, "precious");
        }

        Failure().Code.ShouldBe("Socket.BadPath");
        (directory || File.ReadAllText(SocketPath) == "precious").ShouldBeTrue();
    }

    [Fact]
    public void Bind_WhenThePathIsTooLong_SaysHowLongItMayBe()
    {
        FailureException failure = Should.Throw<FailureException>(() => UnixSocketListener.Bind(Path.Combine(_directory.FullName, new string('x', 100))));

        failure.Error.Message.ShouldContain("107");
    }

    [Fact]
    public void Dispose_WhenAnotherProcessHasTakenThePath_LeavesItsSocket()
    {
        using Socket foreign = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        using (UnixSocketListener listener = UnixSocketListener.Bind(SocketPath))
        {
            File.Delete(SocketPath);
            foreign.Bind(new UnixDomainSocketEndPoint(SocketPath));
            foreign.Listen();
        }

        Connects().ShouldBeTrue();
    }

    [Fact]
    public async Task Bind_WhileSomebodyWatches_NeverShowsAWiderMode()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(SocketPath)!);
        using CancellationTokenSource done = new();
        int seen = 0;
        Task<int> watching = Task.Run(() =>
        {
            int wide = 0;
            while (!done.IsCancellationRequested)
            {
                try
                {
                    wide += File.GetUnixFileMode(SocketPath) == OwnerOnly ? 0 : 1;
                    Interlocked.Increment(ref seen);
                }
                catch (FileNotFoundException)
                {
                }
            }

            return wide;
        });

        // On a busy machine the watcher may not run for a while: rounds go on until it has looked often enough.
        DateTime deadline = DateTime.UtcNow.AddSeconds(60);
        for (int round = 0; round < 300 || (Volatile.Read(ref seen) < 10 && DateTime.UtcNow < deadline); round++)
        {
            try
            {
                using UnixSocketListener listener = UnixSocketListener.Bind(SocketPath);
            }
            catch (FailureException e) when (e.Error.Code == "Socket.InUse" && DateTime.UtcNow < deadline)
            {
                // a child that another test is just starting holds the last round's socket until its exec
            }
        }

        await done.CancelAsync();
        (await watching).ShouldBe(0);
        seen.ShouldBeGreaterThan(0);
    }

    private Error Failure() => Should.Throw<FailureException>(() => UnixSocketListener.Bind(SocketPath)).Error;

    private bool Connects()
    {
        using Socket client = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            client.Connect(new UnixDomainSocketEndPoint(SocketPath));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

/// <summary>What a killed daemon leaves: a socket file that nobody listens on.</summary>
internal static class StaleSocket
{
    public static void Create(string path)
    {
        // .NET unlinks the name a socket was bound to, so bind under another one.
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path + ".tmp"));
        File.Move(path + ".tmp", path);
    }
}
