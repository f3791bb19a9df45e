using System.Text;
using System.Text.Json;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Starlight.Application;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Convert;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;
using Starlight.Infrastructure.Erofs;
using Starlight.Infrastructure.Images;
using Starlight.Infrastructure.Registry;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.Images.Conversion;

/// <summary>The use case with all its real parts.</summary>
public sealed class ConvertImageTests : ConversionTest
{
    [Fact]
    public async Task Convert_WhenSingleImage_WritesEStargzLayersAndVouchesForTheTree()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);

        ConvertImageResult result = (await SendAsync("src:1", "dst:1")).Value;

        ImageManifest manifest = Manifest("dst", "1");
        manifest.Digest.ShouldBe(result.Digest);
        manifest.Layers.ShouldAllBe(l => l.MediaType == MediaTypes.OciLayerGzip && l.Annotations.ContainsKey(StarlightAnnotations.TocDigest));
        List<IReadOnlyList<LayerEntry>> entries = [];
        ImageConfig config = ImageConfig.Parse(_registry.Blobs[manifest.Config.Digest.ToString()]).Value;
        foreach ((Descriptor layer, Digest diffId) in manifest.Layers.Zip(config.DiffIds))
        {
            byte[] blob = _registry.Blobs[layer.Digest.ToString()];
            LayerScan scan = await LayerBlobs.ScanAsync(blob);
            (scan.IsEStargz, scan.DiffId, blob.LongLength).ShouldBe((true, diffId, layer.Size));
            layer.Annotations[StarlightAnnotations.UncompressedSize].ShouldBe(scan.UncompressedSize.ToString(System.Globalization.CultureInfo.InvariantCulture));
            entries.Add(scan.Entries);
        }

        // whoever indexes the converted image finds the tree that its manifest names
        using BuiltFilesystem filesystem = _services.GetRequiredService<IFilesystemImages>().Build(TreeMerger.Merge(entries).Value);
        Digest.Of(filesystem.Bytes.Span).ToString().ShouldBe(manifest.Annotations[StarlightAnnotations.FilesystemDigest]);
        result.Images.ShouldHaveSingleItem().ShouldSatisfyAllConditions(
            i => i.FilesystemDigest.ShouldBe(filesystem.Digest), i => i.Layers.ShouldBe(2), i => i.ReusedLayers.ShouldBe(0), i => i.Platform.ToString().ShouldBe("linux/amd64"));
        Directory.GetFileSystemEntries(_scratch["tmp"]).ShouldBeEmpty();
    }

    [Fact]
    public async Task Convert_WhenDockerImage_StaysDocker()
    {
        AddImage("src", "1", [Base], MediaTypes.DockerManifest);

        await SendAsync("src:1", "dst:1");

        ImageManifest manifest = Manifest("dst", "1");
        (manifest.MediaType, manifest.Config.MediaType, manifest.Layers[0].MediaType).ShouldBe((MediaTypes.DockerManifest, MediaTypes.DockerConfig, MediaTypes.DockerLayerGzip));
    }

    [Fact]
    public async Task Convert_WhenRepeated_GivesTheSameDigestAndSendsNoBlob()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);
        Digest first = (await SendAsync("src:1", "dst:1")).Value.Digest;
        int before = _registry.Requests.Count;

        ConvertImageResult again = (await SendAsync("src:1", "dst:1")).Value;

        (again.Digest, again.Images[0].ReusedLayers).ShouldBe((first, 2));
        SeenRequest[] requests = [.. _registry.Requests.Skip(before)];
        requests.Where(r => r.Path.Contains("/uploads/", StringComparison.Ordinal)).ShouldBeEmpty();
        requests.Where(r => r.Method == "GET" && LayerPaths("src", "1").Contains(r.Path)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Convert_WhenCacheIsElsewhere_GivesTheSameDigest()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);
        Digest first = (await SendAsync("src:1", "dst:1")).Value.Digest;
        await using ServiceProvider other = Services("cache2");

        Digest elsewhere = (await SendAsync("src:1", "other:1", services: other)).Value.Digest;

        elsewhere.ShouldBe(first);
    }

    [Fact]
    public async Task Convert_WhenNewVersionSharesLayersAndCacheIsLost_ReadsThemFromTheDestination()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);
        await SendAsync("src:1", "dst:1");
        AddImage("src", "2", [Base, new TarBuilder().File("new", "n").Build()], MediaTypes.OciManifest);
        await using ServiceProvider other = Services("cache2");
        int before = _registry.Requests.Count;

        ConvertImageResult result = (await SendAsync("src:2", "dst:1", services: other)).Value;

        result.Images[0].ReusedLayers.ShouldBe(1);
        _registry.Requests.Skip(before).Where(r => r.Method == "GET" && r.Path == LayerPaths("src", "1")[0]).ShouldBeEmpty();
        (await SendAsync("src:2", "fresh:1", services: Services("cache3"))).Value.Digest.ShouldBe(result.Digest);
    }

    [Fact]
    public async Task Convert_WhenAlreadyConverted_CopiesLayersAsTheyAre()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);
        await SendAsync("src:1", "dst:1");

        ConvertImageResult again = (await SendAsync("dst:1", "third:1", services: Services("cache2"))).Value;

        again.Digest.ShouldBe(Manifest("dst", "1").Digest);
        again.Images[0].ReusedLayers.ShouldBe(2);
    }

    [Fact]
    public async Task Convert_WhenIndexHasAttestations_KeepsThemAndPointsThemToTheConvertedImage()
    {
        (string amd, string arm, string attestation, string attestationBlob) = AddIndex();

        ConvertImageResult result = (await SendAsync("src:idx", "dst:idx")).Value;

        ImageIndex index = Index("dst", "idx");
        result.Images.Select(i => i.Platform.ToString()).ShouldBe(["linux/amd64", "linux/arm64"]);
        index.Manifests.Count.ShouldBe(3);
        index.Manifests[0].Digest.ShouldBe(result.Images[0].ManifestDigest);
        index.Manifests[0].Digest.ToString().ShouldNotBe(amd);
        index.Manifests[1].Digest.ToString().ShouldNotBe(arm);
        index.Manifests[2].Digest.ToString().ShouldBe(attestation);
        index.Manifests[2].Annotations["vnd.docker.reference.digest"].ShouldBe(index.Manifests[0].Digest.ToString());
        index.Annotations["org.example"].ShouldBe("kept");
        _registry.Manifests.ContainsKey($"dst@{attestation}").ShouldBeTrue();
        _registry.Blobs.ContainsKey(attestationBlob).ShouldBeTrue();
        index.Manifests.Select(m => (long)_registry.Manifests[$"dst@{m.Digest}"].Raw.Length).ShouldBe(index.Manifests.Select(m => m.Size));
    }

    [Fact]
    public async Task Convert_WhenPlatformIsSelected_DropsTheOthers()
    {
        AddIndex();

        ConvertImageResult result = (await SendAsync("src:idx", "dst:idx", PlatformSelection.Parse("linux/arm64").Value)).Value;

        result.Images.ShouldHaveSingleItem().Platform.ToString().ShouldBe("linux/arm64");
        Index("dst", "idx").Manifests.ShouldHaveSingleItem().Digest.ShouldBe(result.Images[0].ManifestDigest);
    }

    [Fact]
    public async Task Convert_WhenPlatformIsNotThere_SaysWhichAre()
    {
        AddIndex();

        Error error = (await SendAsync("src:idx", "dst:idx", PlatformSelection.Parse("linux/s390x").Value)).Error.ShouldNotBeNull();

        error.Code.ShouldBe("Convert.NoSuchPlatform");
        error.Message.ShouldContain("linux/amd64, linux/arm64, not linux/s390x");
        _registry.Manifests.Keys.ShouldNotContain(k => k.StartsWith("dst", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "Convert.Encrypted")]
    [InlineData(MediaTypes.DockerForeignLayerGzip, "Convert.ForeignLayer")]
    [InlineData("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "Convert.NotAnImage")]
    public async Task Convert_WhenLayerCannotBeCopied_SaysWhy(string layerType, string code)
    {
        AddImage("src", "1", [Base], MediaTypes.OciManifest, layerType: layerType);

        (await SendAsync("src:1", "dst:1")).Error.ShouldNotBeNull().Code.ShouldBe(code);
    }

    [Fact]
    public async Task Convert_WhenLayerIsDamaged_LeavesTagAndTemporaryFilesAlone()
    {
        AddImage("src", "1", [Base], MediaTypes.OciManifest);
        Digest good = (await SendAsync("src:1", "dst:1")).Value.Digest;
        byte[] broken = LayerBlobs.Gzip(Base)[..^20];
        AddImage("src", "2", [Base, broken], MediaTypes.OciManifest, compress: false);

        Error error = (await SendAsync("src:2", "dst:1")).Error.ShouldNotBeNull();

        error.Kind.ShouldBe(ErrorKind.DataCorrupt);
        Manifest("dst", "1").Digest.ShouldBe(good);
        Directory.GetFileSystemEntries(_scratch["tmp"]).ShouldBeEmpty();
    }

    [Fact]
    public async Task Convert_WhenConfigContradictsLayers_SaysSo()
    {
        AddImage("src", "1", [Base], MediaTypes.OciManifest, diffIds: [Digest.Of("other"u8)]);

        (await SendAsync("src:1", "dst:1")).Error.ShouldNotBeNull().Code.ShouldBe("Convert.Mismatch");
    }

    [Fact]
    public async Task Convert_WhenDestinationHasDigest_IsRefused() =>
        (await SendAsync("src:1", "dst@" + Digest.Empty)).Error.ShouldNotBeNull().Code.ShouldBe("Convert.DestinationMalformed");

    [Fact]
    public async Task Convert_WhenWatched_ReportsEveryLayerToItsEnd()
    {
        AddImage("src", "1", [Base, Top], MediaTypes.OciManifest);
        RecordingProgress progress = new();

        await SendAsync("src:1", "dst:1", progress: progress);
        await SendAsync("src:1", "dst:1", progress: progress);

        LayerProgress[] all = progress.All;
        all.Where(p => p.Stage == ConvertStage.Converting).GroupBy(p => p.Layer).ShouldAllBe(g => g.Max(p => p.BytesDone) == g.First().BytesTotal);
        all.Count(p => p.Stage == ConvertStage.Done).ShouldBe(2);
        all.Count(p => p.Stage == ConvertStage.Reused).ShouldBe(2);
    }

    private sealed class RecordingProgress : IConvertProgress
    {
        private readonly List<LayerProgress> _all = [];

        public LayerProgress[] All
        {
            get
            {
                lock (_all)
                {
                    return [.. _all];
                }
            }
        }

        public void Report(LayerProgress progress)
        {
            lock (_all)
            {
                _all.Add(progress);
            }
        }
    }
}
