using System.Text;
using System.Text.Json;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Starlight.Application;
using Starlight.Application.Abstractions.Images;
using Starlight.Application.Abstractions.Proxies;
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

/// <summary>The conversion with all its real parts against a registry in this process that counts requests.</summary>
public abstract class ConversionTest : IAsyncLifetime
{
    protected static readonly byte[] Base = new TarBuilder().Directory("etc/").File("etc/a", new string('a', 3000)).File("etc/b", "b").Build();
    protected static readonly byte[] Top = new TarBuilder().File("etc/.wh.b", "").File("etc/c", "c").Build();

    private protected readonly ScratchDirectory _scratch = new();
    private protected FakeRegistry _registry = null!;
    private protected ServiceProvider _services = null!;

    public async Task InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync();
        _services = Services("cache");
    }

    public async Task DisposeAsync()
    {
        await _services.DisposeAsync();
        await _registry.DisposeAsync();
        _scratch.Dispose();
    }

    private protected ServiceProvider Services(string cache)
    {
        Directory.CreateDirectory(_scratch["tmp"]);
        return new ServiceCollection().AddLogging().AddApplication().AddImageTransports().AddFilesystemImages()
            .AddLayerFormats(new LayerFormatOptions(_scratch["tmp"], _scratch[cache])).BuildServiceProvider();
    }

    private protected async Task<Result<ConvertImageResult>> SendAsync(
        string source, string destination, PlatformSelection? platforms = null, ServiceProvider? services = null, IConvertProgress? progress = null, IImageOrders? orders = null)
    {
        await using AsyncServiceScope scope = (services ?? _services).CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<IMediator>().Send(new ConvertImageCommand(
            $"{_registry.Host}/{source}", ImageReference.Parse($"{_registry.Host}/{destination}").Value, platforms ?? PlatformSelection.All, Progress: progress, OptimizeFrom: orders));
    }

    private protected ImageManifest Manifest(string repository, string tag) => ImageManifest.Parse(_registry.Manifests[$"{repository}:{tag}"].Raw).Value;

    private protected ImageIndex Index(string repository, string tag) => ImageIndex.Parse(_registry.Manifests[$"{repository}:{tag}"].Raw).Value;

    private protected string[] LayerPaths(string repository, string tag) => [.. Manifest(repository, tag).Layers.Select(l => $"/v2/{repository}/blobs/{l.Digest}")];

    private protected string AddImage(
        string repository, string tag, byte[][] tars, string manifestType, string? layerType = null, bool compress = true, Digest[]? diffIds = null, string architecture = "amd64")
    {
        bool isOci = manifestType == MediaTypes.OciManifest;
        byte[][] blobs = [.. tars.Select(t => compress ? LayerBlobs.Gzip(t) : t)];
        string config = JsonSerializer.Serialize(new
        {
            os = "linux",
            architecture,
            rootfs = new { type = "layers", diff_ids = diffIds?.Select(d => d.ToString()) ?? tars.Select(t => Digest.Of(t).ToString()) },
        });
        string configDigest = _registry.AddBlob(Encoding.UTF8.GetBytes(config));
        string layers = string.Join(",", blobs.Select(b =>
            $$"""{"mediaType":"{{layerType ?? (isOci ? MediaTypes.OciLayerGzip : MediaTypes.DockerLayerGzip)}}","digest":"{{_registry.AddBlob(b)}}","size":{{b.Length}}}"""));
        string json = $$"""
            {"schemaVersion":2,"mediaType":"{{manifestType}}","config":{"mediaType":"{{(isOci ? MediaTypes.OciConfig : MediaTypes.DockerConfig)}}","digest":"{{configDigest}}","size":{{config.Length}}},"layers":[{{layers}}]}
            """;
        return _registry.AddManifest(repository, tag, json, manifestType);
    }

    private protected (string Amd, string Arm, string Attestation, string AttestationBlob) AddIndex()
    {
        string amd = AddImage("src", "amd", [Base, Top], MediaTypes.OciManifest);
        string arm = AddImage("src", "arm", [Base], MediaTypes.OciManifest, architecture: "arm64");
        string statement = _registry.AddBlob("""{"_type":"https://in-toto.io/Statement/v0.1"}"""u8.ToArray());
        string config = _registry.AddBlob("{}"u8.ToArray());
        string attestation = _registry.AddManifest(
            "src", "att",
            $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{"mediaType":"{{MediaTypes.OciConfig}}","digest":"{{config}}","size":2},"layers":[{"mediaType":"application/vnd.in-toto+json","digest":"{{statement}}","size":45}]}""",
            MediaTypes.OciManifest);
        int Size(string digest) => _registry.Manifests[$"src@{digest}"].Raw.Length;
        _registry.AddManifest(
            "src", "idx",
            $$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[
             {"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{amd}}","size":{{Size(amd)}},"platform":{"os":"linux","architecture":"amd64"} },
             {"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{arm}}","size":{{Size(arm)}},"platform":{"os":"linux","architecture":"arm64","variant":"v8"} },
             {"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{attestation}}","size":{{Size(attestation)}},"platform":{"os":"unknown","architecture":"unknown"},
              "annotations":{"vnd.docker.reference.digest":"{{amd}}","vnd.docker.reference.type":"attestation-manifest"} }],"annotations":{"org.example":"kept"} }
            """,
            MediaTypes.OciIndex);
        return (amd, arm, attestation, statement);
    }
}
