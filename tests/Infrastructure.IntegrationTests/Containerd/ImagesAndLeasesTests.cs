using Starlight.Application.Abstractions.Containerd;
using Starlight.Domain.Images;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd;

namespace Starlight.Infrastructure.IntegrationTests.Containerd;

[Collection(nameof(ContainerdCollection))]
public sealed class ImagesAndLeasesTests(ContainerdFixture containerd)
{
    private const string Name = "docker.io/library/redis:7";

    [Fact]
    public async Task SetImage_WhenNew_CreatesTheRecord()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        ContainerImage image = Image("one");

        await client.SetImageAsync(image, CancellationToken.None);

        ContainerImage found = (await client.FindImageAsync(Name, CancellationToken.None))!;
        found.Target.Digest.ShouldBe(image.Target.Digest);
        found.Target.MediaType.ShouldBe(MediaTypes.OciManifest);
        found.Target.Size.ShouldBe(image.Target.Size);
        found.Target.Annotations.ShouldBe(image.Target.Annotations);
        found.Labels.ShouldBe(image.Labels);
        (await containerd.Server.Ctr("-n", client.Namespace, "images", "ls", "-q")).Succeeded().Trim().ShouldBe(Name);
    }

    [Fact]
    public async Task SetImage_WhenThere_ReplacesTargetAndLabels()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        await client.SetImageAsync(Image("one"), CancellationToken.None);
        ContainerImage second = Image("two") with { Labels = new Dictionary<string, string> { ["complete"] = "yes" } };

        await client.SetImageAsync(second, CancellationToken.None);

        ContainerImage found = (await client.FindImageAsync(Name, CancellationToken.None))!;
        found.Target.Digest.ShouldBe(second.Target.Digest);
        found.Labels.ShouldBe(second.Labels);
    }

    [Fact]
    public async Task ListImages_WhenFiltered_GivesExactMatches()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        await client.SetImageAsync(Image("one") with { Name = "docker.io/library/redis:6.2.1" }, CancellationToken.None);
        await client.SetImageAsync(Image("ten") with { Name = "docker.io/library/redis:6.2.10", Labels = Blob.NoLabels }, CancellationToken.None);

        (await client.ListImagesAsync(null, CancellationToken.None)).Count.ShouldBe(2);
        (await client.ListImagesAsync("name==docker.io/library/redis:6.2.1", CancellationToken.None)).ShouldHaveSingleItem().Name.ShouldEndWith("6.2.1");
        (await client.ListImagesAsync("labels.\"puller.containerd.io\"==starlight", CancellationToken.None)).ShouldHaveSingleItem();
    }

    [Fact]
    public async Task DeleteImage_WhenAbsent_IsFalse()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        await client.SetImageAsync(Image("one"), CancellationToken.None);

        (await client.DeleteImageAsync(Name, collect: false, CancellationToken.None)).ShouldBeTrue();
        (await client.DeleteImageAsync(Name, collect: false, CancellationToken.None)).ShouldBeFalse();
        (await client.FindImageAsync(Name, CancellationToken.None)).ShouldBeNull();
    }

    [Fact]
    public async Task Lease_WhileHeld_KeepsContentFromCollection()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        (Descriptor leased, byte[] leasedContent) = Blob.Text("leased");
        (Descriptor found, byte[] foundContent) = Blob.Text("there before the lease");
        (Descriptor loose, byte[] looseContent) = Blob.Text("loose");
        await client.PutBlobAsync(found, foundContent, Blob.NoLabels, CancellationToken.None);
        await client.PutBlobAsync(loose, looseContent, Blob.NoLabels, CancellationToken.None);

        ContainerdLease lease = await client.BeginLeaseAsync(TimeSpan.FromHours(1), CancellationToken.None);
        await lease.PutBlobAsync(leased, leasedContent, Blob.NoLabels, CancellationToken.None);
        await lease.PutBlobAsync(found, foundContent, Blob.NoLabels, CancellationToken.None);

        await CollectAsync(client);
        (await client.HasBlobAsync(leased.Digest, CancellationToken.None)).ShouldBeTrue();
        (await client.HasBlobAsync(found.Digest, CancellationToken.None)).ShouldBeTrue();
        (await client.HasBlobAsync(loose.Digest, CancellationToken.None)).ShouldBeFalse();

        await lease.DeleteAsync(collect: true, CancellationToken.None);
        (await client.HasBlobAsync(leased.Digest, CancellationToken.None)).ShouldBeFalse();
        (await client.ListLeasesAsync(CancellationToken.None)).ShouldBeEmpty();
        await lease.DisposeAsync();
    }

    [Fact]
    public async Task Lease_WhenTheImageRefersToEverything_MayGo()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        (Descriptor config, byte[] configContent) = Blob.Text("config");
        (Descriptor manifest, byte[] manifestContent) = Blob.Text("manifest", MediaTypes.OciManifest);
        ContainerdLease lease = await client.BeginLeaseAsync(TimeSpan.FromHours(1), CancellationToken.None);
        await lease.PutBlobAsync(config, configContent, Blob.NoLabels, CancellationToken.None);
        await lease.PutBlobAsync(
            manifest, manifestContent, new Dictionary<string, string> { ["containerd.io/gc.ref.content.config"] = config.Digest.ToString() }, CancellationToken.None);
        await lease.SetImageAsync(new ContainerImage(Name, manifest, Blob.NoLabels), CancellationToken.None);

        await lease.DeleteAsync(collect: true, CancellationToken.None);
        (await client.HasBlobAsync(config.Digest, CancellationToken.None)).ShouldBeTrue();

        await client.DeleteImageAsync(Name, collect: true, CancellationToken.None);
        (await client.HasBlobAsync(config.Digest, CancellationToken.None)).ShouldBeFalse();
        (await client.HasBlobAsync(manifest.Digest, CancellationToken.None)).ShouldBeFalse();
    }

    [Fact]
    public async Task Lease_WhenExpired_KeepsNothing()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();
        (Descriptor blob, byte[] content) = Blob.Text("short-lived");
        await using ContainerdLease lease = await client.BeginLeaseAsync(TimeSpan.FromSeconds(-5), CancellationToken.None);
        await lease.PutBlobAsync(blob, content, Blob.NoLabels, CancellationToken.None);

        await CollectAsync(client);

        (await client.HasBlobAsync(blob.Digest, CancellationToken.None)).ShouldBeFalse();
    }

    [Fact]
    public async Task Runtime_WhenAsked_KnowsVersionNamespacesAndSnapshotters()
    {
        ContainerdClient client = await containerd.NewNamespaceAsync();

        (await containerd.Runtime.GetVersionAsync(CancellationToken.None)).ShouldStartWith("1.");
        (await containerd.Runtime.ListNamespacesAsync(CancellationToken.None)).ShouldContain(client.Namespace);
        await containerd.Runtime.OpenNamespaceAsync(client.Namespace, CancellationToken.None);
        await containerd.Runtime.RequireSnapshotterAsync("overlayfs", CancellationToken.None);
    }

    [Fact]
    public async Task RequireSnapshotter_WhenNotConfigured_SaysWhatToConfigure()
    {
        Error error = (await Should.ThrowAsync<FailureException>(() => containerd.Runtime.RequireSnapshotterAsync("starlight", CancellationToken.None))).Error;

        error.Code.ShouldBe("Containerd.SnapshotterMissing");
        error.Kind.ShouldBe(ErrorKind.FailedPrecondition);
        error.Message.ShouldContain("[proxy_plugins.starlight]");
    }

    private static ContainerImage Image(string content) => new(
        Name,
        Blob.Text(content, MediaTypes.OciManifest).Descriptor with { Annotations = new Dictionary<string, string> { ["org.opencontainers.image.ref.name"] = "7" } },
        new Dictionary<string, string> { ["puller.containerd.io"] = "starlight" });

    /// <summary>Deleting an image with sync is what makes containerd collect at once.</summary>
    private static async Task CollectAsync(ContainerdClient client)
    {
        await client.SetImageAsync(new ContainerImage("collect:me", Blob.Text("trigger").Descriptor, Blob.NoLabels), CancellationToken.None);
        await client.DeleteImageAsync("collect:me", collect: true, CancellationToken.None);
    }
}
