using System.Text;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Mounts.Native;
using Starlight.Infrastructure.Objects;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Objects;

public sealed class ObjectStoreTests : IDisposable
{
    private readonly ScratchDirectory _directory = new();
    private readonly ObjectStore _store;

    public ObjectStoreTests() => _store = new ObjectStore(_directory["objects"]);

    public void Dispose()
    {
        _store.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public void Put_OfAContent_StoresItReadOnlyUnderItsDigest()
    {
        Digest digest = Digest.Of("hello"u8);
        _store.Contains(digest).ShouldBeFalse();
        _store.Put(digest, "hello"u8);
        _store.Put(digest, "hello"u8);

        _store.Contains(digest).ShouldBeTrue();
        _store.PathOf(digest).ShouldBe(_directory["objects/2c/f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"]);
        File.ReadAllBytes(_store.PathOf(digest)).ShouldBe("hello"u8.ToArray());
        if (OperatingSystem.IsLinux())
        {
            File.GetUnixFileMode(_store.PathOf(digest)).ShouldBe(UnixFileMode.UserRead);
            File.GetUnixFileMode(_store.Root).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [Fact]
    public void Put_OfTheWrongContent_IsRefusedAndStoresNothing()
    {
        Digest digest = Digest.Of("hello"u8);
        Code(() => _store.Put(digest, "hellp"u8)).ShouldBe("Object.DigestMismatch");
        _store.Enumerate().ShouldBeEmpty();
    }

    [Fact]
    public void Writer_WhenPiecesMakeTheContent_CommitsIt()
    {
        byte[] content = new byte[3_000_000];
        new Random(1).NextBytes(content);
        Digest digest = Digest.Of(content);
        using (ObjectWriter writer = _store.BeginWrite(content.Length))
        {
            foreach (byte[] piece in content.Chunk(77_777))
            {
                writer.Write(piece);
                _store.Contains(digest).ShouldBeFalse();
            }

            writer.Length.ShouldBe(content.Length);
            writer.Commit(digest);
            Should.Throw<ObjectDisposedException>(() => writer.Write(content));
        }

        using FileStream stored = _store.OpenRead(digest);
        byte[] read = new byte[content.Length];
        stored.ReadExactly(read);
        read.ShouldBe(content);
    }

    [Theory]
    [InlineData("hell", 5)] // too short
    [InlineData("hellp", 5)] // other bytes
    public void Commit_WhenSizeOrDigestDiffer_IsRefusedAndLeavesNothing(string content, long size)
    {
        using ObjectWriter writer = _store.BeginWrite(size);
        writer.Write(Encoding.ASCII.GetBytes(content));
        Code(() => writer.Commit(Digest.Of("hello"u8))).ShouldBe("Object.DigestMismatch");
        _store.Enumerate().ShouldBeEmpty();
        Directory.EnumerateFiles(_store.Root, "*", SearchOption.AllDirectories).Select(Path.GetFileName).ShouldBe(["synced"]);
    }

    [Fact]
    public void Write_BeyondTheAnnouncedSize_IsRefusedAtOnce()
    {
        using ObjectWriter writer = _store.BeginWrite(5);
        Code(() => writer.Write("hello!"u8)).ShouldBe("Object.DigestMismatch");
        writer.Length.ShouldBe(0);
    }

    [Fact]
    public void Commit_OfOneContentByManyWriters_FirstWinsAndAllSucceed()
    {
        byte[] content = new byte[100_000];
        Digest digest = Digest.Of(content);
        Parallel.For(0, 32, _ =>
        {
            using ObjectWriter writer = _store.BeginWrite(content.Length);
            writer.Write(content);
            writer.Commit(digest);
        });
        _store.Enumerate().ShouldBe([digest]);
    }

    [Fact]
    public void Enumerate_ListsObjectsAndNothingElse()
    {
        Digest[] digests = [.. Enumerable.Range(0, 300).Select(i => Digest.Of(Encoding.ASCII.GetBytes($"{i}")))];
        for (int i = 0; i < digests.Length; i++)
        {
            _store.Put(digests[i], Encoding.ASCII.GetBytes($"{i}"));
        }

        File.WriteAllText(Path.Combine(_store.Root, "ab", "stray"), "");
        File.WriteAllText(Path.Combine(_store.Root, "ab", new string('A', 62)), "");
        _store.Enumerate().Order().ShouldBe(digests.Order());
    }

    [Fact]
    public void Delete_OfAContent_RemovesItOnce()
    {
        Digest digest = Digest.Of("hello"u8);
        _store.Put(digest, "hello"u8);
        _store.Delete(digest).ShouldBeTrue();
        _store.Delete(digest).ShouldBeFalse();
        _store.Contains(digest).ShouldBeFalse();
        Code(() => _store.OpenRead(digest)).ShouldBe("Object.NotFound");
    }

    [Fact]
    public void Reopen_InTheSameBoot_TrustsWhatIsThere()
    {
        Digest digest = Plant("hello", damaged: "hxllo");
        using var reopened = new ObjectStore(_store.Root);
        reopened.Contains(digest).ShouldBeTrue("the page cache survived, so nothing is read again");
    }

    [Fact]
    public void Reopen_AfterAPowerLoss_RemovesWhatItDamaged()
    {
        Digest damaged = Plant("hello", damaged: "");
        Digest sound = Digest.Of("sound"u8);
        _store.Put(sound, "sound"u8);
        _store.Sync();
        PretendAnotherBoot(lastSync: DateTimeOffset.UtcNow);

        using var reopened = new ObjectStore(_store.Root);
        reopened.Enumerate().ShouldBe([sound]);
        reopened.Contains(damaged).ShouldBeFalse();
    }

    [Fact]
    public void Reopen_AfterAPowerLoss_DoesNotReadWhatWasSynced()
    {
        Digest digest = Plant("hello", damaged: "hxllo");
        PretendAnotherBoot(lastSync: DateTimeOffset.UtcNow + TimeSpan.FromHours(1));
        using var reopened = new ObjectStore(_store.Root);
        reopened.Contains(digest).ShouldBeTrue("objects older than the last sync are on disk");
    }

    [Theory]
    [InlineData("")]
    [InlineData("garbage")]
    [InlineData("one two three")]
    [InlineData("00000000-0000-0000-0000-000000000000 99999999999999999999999")]
    public void Reopen_WhenTheRecordIsUnreadable_ChecksEverything(string record)
    {
        Digest digest = Plant("hello", damaged: "hxllo");
        File.WriteAllText(Path.Combine(_store.Root, "synced"), record);
        using var reopened = new ObjectStore(_store.Root);
        reopened.Contains(digest).ShouldBeFalse();
    }

    [Fact]
    public void Put_WhenTheDiskIsFull_FailsWithResourceExhausted()
    {
        string small = _directory.Create("small");
        MountSyscalls.Mount("tmpfs", small, "tmpfs", 0, "size=2m");
        try
        {
            using var store = new ObjectStore(Path.Combine(small, "objects"));
            byte[] content = new byte[4 << 20];
            FailureException failure = Should.Throw<FailureException>(() => store.Put(Digest.Of(content), content));
            failure.Error.Code.ShouldBe("Object.NoSpace");
            failure.Error.Kind.ShouldBe(ErrorKind.ResourceExhausted);
            store.Enumerate().ShouldBeEmpty();
            store.Put(Digest.Of("small"u8), "small"u8);
        }
        finally
        {
            MountSyscalls.Detach(small);
        }
    }

    private static string Code(Action action) => Should.Throw<FailureException>(action).Error.Code;

    private Digest Plant(string content, string damaged)
    {
        Digest digest = Digest.Of(Encoding.ASCII.GetBytes(content));
        File.WriteAllText(_store.PathOf(digest), damaged);
        return digest;
    }

    private void PretendAnotherBoot(DateTimeOffset lastSync) =>
        File.WriteAllText(Path.Combine(_store.Root, "synced"), $"00000000-0000-0000-0000-000000000000 {lastSync.ToUnixTimeSeconds()}\n");
}
