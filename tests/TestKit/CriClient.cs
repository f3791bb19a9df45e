using System.Text;
using Starlight.Infrastructure.Grpc;
using Starlight.TestKit.Cri.Protocol;

namespace Starlight.TestKit;

/// <summary>What a command in a container wrote, and how it ended.</summary>
public sealed record ExecOutcome(int ExitCode, string Output, string ErrorOutput);

/// <summary>
/// The kubelet's part towards containerd's CRI plugin: pulls images, runs pods on the host's network and containers in them. Disposing stops and removes every pod it started.
/// </summary>
public sealed class CriClient : IAsyncDisposable
{
    private const string Runtime = "runtime.v1.RuntimeService";
    private const string ImageService = "runtime.v1.ImageService";

    private static readonly GrpcMethod<VersionRequest, VersionResponse> s_version = new(Runtime, "Version");
    private static readonly GrpcMethod<RunPodSandboxRequest, RunPodSandboxResponse> s_runPod = new(Runtime, "RunPodSandbox");
    private static readonly GrpcMethod<StopPodSandboxRequest, StopPodSandboxResponse> s_stopPod = new(Runtime, "StopPodSandbox");
    private static readonly GrpcMethod<RemovePodSandboxRequest, RemovePodSandboxResponse> s_removePod = new(Runtime, "RemovePodSandbox");
    private static readonly GrpcMethod<CreateContainerRequest, CreateContainerResponse> s_create = new(Runtime, "CreateContainer");
    private static readonly GrpcMethod<StartContainerRequest, StartContainerResponse> s_start = new(Runtime, "StartContainer");
    private static readonly GrpcMethod<ExecSyncRequest, ExecSyncResponse> s_exec = new(Runtime, "ExecSync");
    private static readonly GrpcMethod<ListImagesRequest, ListImagesResponse> s_list = new(ImageService, "ListImages");
    private static readonly GrpcMethod<PullImageRequest, PullImageResponse> s_pull = new(ImageService, "PullImage");
    private static readonly GrpcMethod<RemoveImageRequest, RemoveImageResponse> s_remove = new(ImageService, "RemoveImage");

    private readonly GrpcChannel _channel;
    private readonly Dictionary<string, PodSandboxConfig> _pods = new(StringComparer.Ordinal);

    /// <param name="socket">containerd's: the plugin is served there too.</param>
    public CriClient(string socket) => _channel = GrpcChannel.ForUnixSocket(socket, new GrpcPeer("containerd's CRI plugin", "Cri", "enable it"));

    /// <summary>E.g. <c>1.6.20</c>.</summary>
    public async Task<string> VersionAsync() => (await _channel.UnaryAsync(s_version, new VersionRequest())).RuntimeVersion;

    /// <returns>The image's id: the digest of its configuration.</returns>
    public async Task<string> PullAsync(string reference, (string User, string Password)? credentials = null)
    {
        PullImageRequest request = new() { Image = new ImageSpec { Image = reference } };
        if (credentials is var (user, password))
        {
            request.Auth = new AuthConfig { Username = user, Password = password };
        }

        return (await _channel.UnaryAsync(s_pull, request)).ImageRef;
    }

    /// <summary>Repeating it does nothing.</summary>
    public Task RemoveImageAsync(string reference) => _channel.UnaryAsync(s_remove, new RemoveImageRequest { Image = new ImageSpec { Image = reference } });

    /// <summary>Names of all images.</summary>
    public async Task<IReadOnlyList<string>> ImagesAsync() => [.. (await _channel.UnaryAsync(s_list, new ListImagesRequest())).Images.SelectMany(i => i.RepoTags)];

    /// <param name="users">A user namespace for the pod: ids in it from 0 on, and where they begin on the host; null for none.</param>
    /// <returns>The pod's id.</returns>
    public async Task<string> RunPodAsync((uint Host, uint Length)? users = null)
    {
        NamespaceOption namespaces = new() { Network = NamespaceMode.Node };
        if (users is var (host, length))
        {
            IDMapping mapping = new() { HostId = host, Length = length };
            namespaces.Network = NamespaceMode.Pod;
            namespaces.UsernsOptions = new UserNamespace { Mode = NamespaceMode.Pod, Uids = { mapping }, Gids = { mapping } };
        }

        string name = Guid.NewGuid().ToString("N");
        PodSandboxConfig config = new()
        {
            Metadata = new PodSandboxMetadata { Name = name, Uid = name, Namespace = "starlight-test" },
            Linux = new LinuxPodSandboxConfig { SecurityContext = new LinuxSandboxSecurityContext { NamespaceOptions = namespaces } },
        };
        string id = (await _channel.UnaryAsync(s_runPod, new RunPodSandboxRequest { Config = config })).PodSandboxId;
        _pods.Add(id, config);
        return id;
    }

    /// <returns>The container's id.</returns>
    public async Task<string> StartContainerAsync(string pod, string reference, string[] command, bool readOnlyRoot = false)
    {
        ContainerConfig config = new()
        {
            Metadata = new ContainerMetadata { Name = Guid.NewGuid().ToString("N") },
            Image = new ImageSpec { Image = reference },
            Command = { command },
            Linux = new LinuxContainerConfig
            {
                SecurityContext = new LinuxContainerSecurityContext { NamespaceOptions = _pods[pod].Linux.SecurityContext.NamespaceOptions, ReadonlyRootfs = readOnlyRoot },
            },
        };
        string id = (await _channel.UnaryAsync(s_create, new CreateContainerRequest { PodSandboxId = pod, Config = config, SandboxConfig = _pods[pod] })).ContainerId;
        await _channel.UnaryAsync(s_start, new StartContainerRequest { ContainerId = id });
        return id;
    }

    public async Task<ExecOutcome> ExecAsync(string container, params string[] command)
    {
        ExecSyncResponse response = await _channel.UnaryAsync(s_exec, new ExecSyncRequest { ContainerId = container, Cmd = { command }, Timeout = 60 });
        return new ExecOutcome(response.ExitCode, Encoding.Latin1.GetString(response.Stdout.Span), Encoding.Latin1.GetString(response.Stderr.Span));
    }

    /// <summary>Stops and removes the pod with its containers.</summary>
    public async Task RemovePodAsync(string pod)
    {
        await _channel.UnaryAsync(s_stopPod, new StopPodSandboxRequest { PodSandboxId = pod });
        await _channel.UnaryAsync(s_removePod, new RemovePodSandboxRequest { PodSandboxId = pod });
        _pods.Remove(pod);
    }

    public Task RemovePodsAsync() => Task.WhenAll(_pods.Keys.ToList().Select(RemovePodAsync));

    public async ValueTask DisposeAsync()
    {
        await RemovePodsAsync();
        _channel.Dispose();
    }
}
