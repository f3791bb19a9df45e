using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd;

namespace Starlight.Infrastructure.IntegrationTests.Containerd;

[Collection(nameof(ContainerdCollection))]
public sealed class ContentTests(ContainerdFixture containerd)
{
    [Theory]
    [InlineData(1)]
    [InlineData(1024 * 1024)]
    [InlineData((5 * 1024 * 1024) + 7)]
    public async Task PutBlob_WhenNew_StoresItWithLabels(int size)
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        (Descriptor blob, byte[] content) = Blob.Random(size, seed: size);

        await client.PutBlobAsync(blob, content, new Dictionary<string, string> { ["containerd.io/gc.root"] = "x", ["b"] = "2" }, CancellationToken.None);

        BlobInfo info = (await client.FindBlobAsync(blob.Digest, CancellationToken.None))!;
        info.Size.ShouldBe(size);
        info.Labels.ShouldBe(new Dictionary<string, string> { ["containerd.io/gc.root"] = "x", ["b"] = "2" }, ignoreOrder: true);
        (await client.ReadBlobAsync(blob, CancellationToken.None)).ToArray().ShouldBe(content);
        (await containerd.Server.Ctr("-n", client.Namespace, "content", "ls", "-q")).Succeeded().Trim().ShouldBe(blob.Digest.ToString());
    }

    [Fact]
    public async Task PutBlob_WhenThereAlready_AddsTheLabelsAndKeepsTheOthers()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        (Descriptor blob, byte[] content) = Blob.Text("twice");
        await client.PutBlobAsync(blob, content, new Dictionary<string, string> { ["kept"] = "1", ["changed"] = "old" }, CancellationToken.None);

        await client.PutBlobAsync(blob, content, new Dictionary<string, string> { ["changed"] = "new", ["containerd.io/gc.ref.content.config"] = "x" }, CancellationToken.None);

        (await client.GetBlobLabelsAsync(blob.Digest, CancellationToken.None)).ShouldBe(
            new Dictionary<string, string> { ["kept"] = "1", ["changed"] = "new", ["containerd.io/gc.ref.content.config"] = "x" }, ignoreOrder: true);
    }

    [Fact]
    public async Task PutBlob_WhenAnotherNamespaceHasIt_IsSeenInBoth()
    {
        (Descriptor blob, byte[] content) = Blob.Random(3_000_000, seed: 3);
        ContainerdClient first = await containerd.NewNamespaceAsync();
        ContainerdClient second = await containerd.NewNamespaceAsync();
        await first.PutBlobAsync(blob, content, Blob.NoLabels, CancellationToken.None);
        (await second.HasBlobAsync(blob.Digest, CancellationToken.None)).ShouldBeFalse();

        await second.PutBlobAsync(blob, content, new Dictionary<string, string> { ["mine"] = "2" }, CancellationToken.None);

        (await second.ReadBlobAsync(blob, CancellationToken.None)).ToArray().ShouldBe(content);
        (await second.GetBlobLabelsAsync(blob.Digest, CancellationToken.None)).Keys.ShouldBe(["mine"]);
        (await first.GetBlobLabelsAsync(blob.Digest, CancellationToken.None)).ShouldBeEmpty();
    }

    [Fact]
    public async Task PutBlob_WhenSeveralWriteTheSameAtOnce_AllSucceed()
    {
        await using ContainerdLease client = await (await containerd.NewNamespaceAsync()).BeginLeaseAsync(TimeSpan.FromHours(1), CancellationToken.None);
        (Descriptor blob, byte[] content) = Blob.Random(2_000_000, seed: 4);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(i =>
            client.PutBlobAsync(blob, content, new Dictionary<string, string> { [$"writer-{i}"] = "x" }, CancellationToken.None)));

        (await client.GetBlobLabelsAsync(blob.Digest, CancellationToken.None)).Count.ShouldBe(8);
    }

    [Fact]
    public async Task PutBlob_WhenTheBytesAreOthers_IsDataCorrupt()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        (Descriptor blob, byte[] content) = Blob.Text("right");
        content[0] ^= 1;

        FailureException failure = await Should.ThrowAsync<FailureException>(() => client.PutBlobAsync(blob, content, Blob.NoLabels, CancellationToken.None));

        failure.Error.Kind.ShouldBe(ErrorKind.DataCorrupt);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WriteBlob_WhenTheStreamDoesNotMatch_IsDataCorruptAndLeavesNothing(bool tooShort)
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        (Descriptor blob, byte[] content) = Blob.Random(2_500_000, seed: tooShort ? 5 : 6); // other content for each, since namespaces share it
        byte[] wrong = tooShort ? content[..^1] : [.. content[..^1], (byte)(content[^1] ^ 1)];

        FailureException failure = await Should.ThrowAsync<FailureException>(
            () => client.WriteBlobAsync("my-ref", blob, new MemoryStream(wrong), Blob.NoLabels, CancellationToken.None));

        failure.Error.Code.ShouldBe("Containerd.BlobMismatch");
        (await client.HasBlobAsync(blob.Digest, CancellationToken.None)).ShouldBeFalse();
        (await containerd.Server.Ctr("-n", client.Namespace, "content", "active")).Succeeded().ShouldNotContain("my-ref");
        await client.WriteBlobAsync("my-ref", blob, new MemoryStream(content), Blob.NoLabels, CancellationToken.None);
    }

    [Fact]
    public async Task SetBlobLabels_WhenAValueIsEmpty_RemovesThatLabel()
    {
        // Other tests' changes make containerd collect, and nothing refers to this blob.
        await using ContainerdLease client = await (await containerd.NewNamespaceAsync()).BeginLeaseAsync(TimeSpan.FromHours(1), CancellationToken.None);
        (Descriptor blob, byte[] content) = Blob.Text("labels");
        await client.PutBlobAsync(blob, content, new Dictionary<string, string> { ["a"] = "1", ["b"] = "2" }, CancellationToken.None);

        await client.SetBlobLabelsAsync(blob.Digest, new Dictionary<string, string> { ["a"] = "", ["c"] = "3" }, CancellationToken.None);

        (await client.GetBlobLabelsAsync(blob.Digest, CancellationToken.None)).ShouldBe(new Dictionary<string, string> { ["b"] = "2", ["c"] = "3" }, ignoreOrder: true);
    }

    [Fact]
    public async Task ListBlobs_WhenFiltered_GivesTheMatchesOnly()
    {
        // 100 changes make containerd collect, and nothing refers to these blobs.
        await using ContainerdLease client = await (await containerd.NewNamespaceAsync()).BeginLeaseAsync(TimeSpan.FromHours(1), CancellationToken.None);
        List<Digest> digests = [];
        for (int i = 0; i < 150; i++) // more than containerd puts into one message
        {
            (Descriptor blob, byte[] content) = Blob.Text($"listed {i}");
            digests.Add(blob.Digest);
            await client.PutBlobAsync(blob, content, new Dictionary<string, string> { ["starlight/odd"] = i % 2 == 1 ? "yes" : "no" }, CancellationToken.None);
        }

        (await client.ListBlobsAsync([], CancellationToken.None).ToListAsync()).Select(b => b.Digest).ShouldBe(digests, ignoreOrder: true);
        (await client.ListBlobsAsync(["labels.\"starlight/odd\"==yes"], CancellationToken.None).ToListAsync()).Count.ShouldBe(75);
    }

    [Fact]
    public async Task Blob_WhenDeletedOrAbsent_IsNotFound()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        (Descriptor blob, byte[] content) = Blob.Text("gone");
        await client.PutBlobAsync(blob, content, Blob.NoLabels, CancellationToken.None);

        (await client.DeleteBlobAsync(blob.Digest, CancellationToken.None)).ShouldBeTrue();

        (await client.DeleteBlobAsync(blob.Digest, CancellationToken.None)).ShouldBeFalse();
        (await client.FindBlobAsync(blob.Digest, CancellationToken.None)).ShouldBeNull();
        (await Should.ThrowAsync<FailureException>(() => client.ReadBlobAsync(blob, CancellationToken.None))).Error.Kind.ShouldBe(ErrorKind.NotFound);
        (await Should.ThrowAsync<FailureException>(() => client.SetBlobLabelsAsync(blob.Digest, new Dictionary<string, string> { ["a"] = "1" }, CancellationToken.None)))
            .Error.Kind.ShouldBe(ErrorKind.NotFound);
    }
}
