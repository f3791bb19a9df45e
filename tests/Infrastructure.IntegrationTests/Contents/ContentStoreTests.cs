using Starlight.Application.Abstractions.Catalog;
using Starlight.Domain.Content;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Contents;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Contents;

public sealed class ContentStoreTests : IDisposable
{
    private readonly ScratchDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(ContentStore.SmallContent)]
    [InlineData(ContentStore.SmallContent + 1)]
    [InlineData(5_000_000)]
    public async Task OpenRead_AfterIntake_GivesTheSameBytes(int size)
    {
        using ContentStore store = Open();
        byte[] bytes = Noise(size);
        ContentRef content = await PutAsync(store, bytes);

        store.Contains(content.Digest).ShouldBeTrue();
        Read(store, content).ShouldBe(bytes);
        store.Peek(content.Digest, 0, 100)!.Value.ToArray().ShouldBe(bytes[..Math.Min(size, 100)]);
        store.Peek(content.Digest, size - 1, 100)!.Value.ToArray().ShouldBe(bytes[^1..]);
        store.Peek(content.Digest, size + 500L, 100)!.Value.Length.ShouldBe(0);
        File.Exists(_directory[$"contents/{content.Digest.ObjectPath}"]).ShouldBeTrue();
    }

    [Fact]
    public async Task Intake_WhenContentIsThereAlready_AddsNothing()
    {
        using ContentStore store = Open();
        byte[] small = Noise(1000);
        byte[] large = Noise(2_000_000);
        await using IContentIntake intake = store.OpenIntake();
        foreach (byte[] bytes in new[] { small, large, small, large })
        {
            await PutAsync(intake, bytes, Digest.Of(bytes));
        }

        intake.Added.ShouldBe((2, 2_001_000));
        Directory.GetFiles(_directory["contents/tmp"]).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(2_000_000)]
    public async Task Intake_WhenDigestIsWrong_FailsAndStoresNothing(int size)
    {
        using ContentStore store = Open();
        await using IContentIntake intake = store.OpenIntake();
        byte[] bytes = Noise(size);
        Digest wrong = Digest.Of([9]);

        FailureException failure = await Should.ThrowAsync<FailureException>(() => PutAsync(intake, bytes, wrong));
        await PutAsync(intake, bytes, Digest.Of(bytes));

        failure.Error.Code.ShouldBe("Contents.DigestMismatch");
        store.Contains(wrong).ShouldBeFalse();
        store.Contains(Digest.Of(bytes)).ShouldBeTrue("a failed content does not spoil the next one");
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(2_000_000)]
    public async Task Intake_WhenDisposedInTheMiddle_LeavesNothing(int size)
    {
        using ContentStore store = Open();
        await using (IContentIntake intake = store.OpenIntake())
        {
            await intake.BeginAsync(size, CancellationToken.None);
            await intake.WriteAsync(Noise(size / 2), CancellationToken.None);
        }

        Directory.GetFiles(_directory["contents"], "*", SearchOption.AllDirectories).ShouldBe([_directory["contents/lock"]]);
    }

    [Fact]
    public async Task Open_AfterACrash_RemovesLeftoversAndKnowsWhatIsThere()
    {
        byte[] bytes = Noise(300);
        ContentRef content;
        using (ContentStore store = Open())
        {
            content = await PutAsync(store, bytes);
            await store.FlushAsync(CancellationToken.None);
        }

        await File.WriteAllBytesAsync(_directory["contents/tmp/half"], Noise(10));
        using ContentStore again = Open();

        again.Contains(content.Digest).ShouldBeTrue();
        again.Contains(Digest.Of([1])).ShouldBeFalse();
        Directory.GetFiles(_directory["contents/tmp"]).ShouldBeEmpty();
    }

    [Fact]
    public void Open_WhenAnotherStoreHasTheDirectory_IsRefused()
    {
        using ContentStore store = Open();

        Should.Throw<FailureException>(Open).Error.Code.ShouldBe("Contents.InUse");
    }

    [Theory]
    [InlineData(1000, false)]
    [InlineData(1000, true)]
    [InlineData(3_000_000, false)]
    [InlineData(3_000_000, true)]
    public async Task OpenRead_WhenFileIsDamaged_FailsRemovesItAndTakesItInAgain(int size, bool cutShort)
    {
        using ContentStore store = Open();
        byte[] bytes = Noise(size);
        ContentRef content = await PutAsync(store, bytes);
        string path = _directory[$"contents/{content.Digest.ObjectPath}"];
        byte[] stored = await File.ReadAllBytesAsync(path);
        stored[stored.Length / 2] ^= 1;
        await File.WriteAllBytesAsync(path, cutShort ? stored[..(stored.Length / 2)] : stored);

        FailureException failure = Should.Throw<FailureException>(() => Read(store, content));

        failure.Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        store.Contains(content.Digest).ShouldBeFalse();
        Read(store, await PutAsync(store, bytes)).ShouldBe(bytes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Peek_WhenTheStoredFileIsDamagedOrGone_IsAsIfItWereEvicted(bool gone)
    {
        using ContentStore store = Open();
        byte[] bytes = Noise(200_000);
        ContentRef content = await PutAsync(store, bytes);
        string path = _directory[$"contents/{content.Digest.ObjectPath}"];
        if (gone)
        {
            File.Delete(path);
        }
        else
        {
            await File.WriteAllBytesAsync(path, "no frame at all"u8.ToArray());
        }

        store.Peek(content.Digest, 0, 100).ShouldBeNull();

        store.Contains(content.Digest).ShouldBeFalse();
        Read(store, await PutAsync(store, bytes)).ShouldBe(bytes);
    }

    [Fact]
    public void OpenRead_WhenContentIsMissing_SaysSo()
    {
        using ContentStore store = Open();

        Should.Throw<FailureException>(() => store.OpenRead(new ContentRef(Digest.Of([1]), 1))).Error.Code.ShouldBe("Contents.Missing");
        store.Peek(Digest.Of([1]), 0, 10).ShouldBeNull();
    }

    [Fact]
    public async Task Intake_WhenManyThreadsStoreTheSame_KeepsOneSoundCopy()
    {
        using ContentStore store = Open();
        byte[][] contents = [.. Enumerable.Range(0, 50).Select(i => Noise(i % 10 == 0 ? 1_500_000 : 2000, seed: i))];

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            await using IContentIntake intake = store.OpenIntake();
            foreach (byte[] bytes in contents)
            {
                await PutAsync(intake, bytes, Digest.Of(bytes));
            }
        })));

        contents.ShouldAllBe(c => Read(store, new ContentRef(Digest.Of(c), c.Length)).SequenceEqual(c));
        Directory.GetFiles(_directory["contents"], "*", SearchOption.AllDirectories).Length.ShouldBe(51);
    }

    private static byte[] Noise(int size, int seed = 1)
    {
        byte[] bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static async Task<ContentRef> PutAsync(ContentStore store, byte[] bytes)
    {
        await using IContentIntake intake = store.OpenIntake();
        await PutAsync(intake, bytes, Digest.Of(bytes));
        return new ContentRef(Digest.Of(bytes), bytes.Length);
    }

    private static async Task PutAsync(IContentIntake intake, byte[] bytes, Digest digest)
    {
        await intake.BeginAsync(bytes.Length, CancellationToken.None);
        for (int offset = 0; offset < bytes.Length; offset += 70_001)
        {
            await intake.WriteAsync(bytes.AsMemory(offset, Math.Min(70_001, bytes.Length - offset)), CancellationToken.None);
        }

        await intake.CompleteAsync(digest, CancellationToken.None);
    }

    private static byte[] Read(ContentStore store, ContentRef content)
    {
        using Stream stream = store.OpenRead(content);
        using MemoryStream copy = new();
        stream.CopyTo(copy);
        return copy.ToArray();
    }

    private ContentStore Open() => new(_directory["contents"]);
}
