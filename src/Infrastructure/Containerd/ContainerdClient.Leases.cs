using System.Globalization;
using Starlight.Application.Abstractions.Containerd;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.Containerd.Protocol.Leases;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.Containerd;

public partial class ContainerdClient
{
    /// <summary>containerd's collector ignores a lease whose time has come (metadata/gc.go), so that a crashed client does not pin its content for ever.</summary>
    private const string ExpireLabel = "containerd.io/gc.expire";

    public async Task<ContainerdLease> BeginLeaseAsync(TimeSpan expiry, CancellationToken cancellationToken)
    {
        CreateRequest request = new() { Id = $"starlight-{Guid.NewGuid():N}" };
        request.Labels[ExpireLabel] = (DateTime.UtcNow + expiry).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        CreateResponse response = await CallAsync(LeasesMethods.Create, request, cancellationToken);
        return new ContainerdLease(_channel, Namespace, response.Lease.Id);
    }

    async Task<IContainerLease> IContainerImages.BeginLeaseAsync(TimeSpan expiry, CancellationToken cancellationToken) => await BeginLeaseAsync(expiry, cancellationToken);

    public async Task<IReadOnlyList<string>> ListLeasesAsync(CancellationToken cancellationToken) =>
        [.. (await CallAsync(LeasesMethods.List, new ListRequest(), cancellationToken)).Leases.Select(l => l.Id)];

    /// <summary>Adds something that exists already to the lease of this client; without a lease, does nothing. Repeating it is harmless.</summary>
    /// <param name="type"><c>content</c> or <c>snapshots/NAME</c>.</param>
    /// <param name="id">Digest or snapshot key.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    private async Task AddToLeaseAsync(string type, string id, CancellationToken cancellationToken)
    {
        if (_lease is not null)
        {
            await CallAsync(LeasesMethods.AddResource, new AddResourceRequest { Id = _lease, Resource = new Resource { Type = type, Id = id } }, cancellationToken);
        }
    }
}

/// <summary>A <see cref="ContainerdClient"/> whose calls are made under a lease.</summary>
public sealed class ContainerdLease : ContainerdClient, IContainerLease
{
    private bool _deleted;

    internal ContainerdLease(GrpcChannel channel, string @namespace, string leaseId)
        : base(channel, @namespace, leaseId) => LeaseId = leaseId;

    public string LeaseId { get; }

    /// <summary>Deletes the lease. What nothing else refers to may be collected from now on.</summary>
    /// <param name="collect">Also wait for the collection.</param>
    /// <param name="cancellationToken">Ends the wait; the lease may or may not be gone then.</param>
    public async Task DeleteAsync(bool collect, CancellationToken cancellationToken)
    {
        if (_deleted)
        {
            return;
        }

        try
        {
            await CallAsync(LeasesMethods.Delete, new DeleteRequest { Id = LeaseId, Sync = collect }, cancellationToken);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.NotFound)
        {
            // Expired and collected already.
        }

        _deleted = true;
    }

    /// <summary>
    /// Deletes the lease without waiting for a collection. A containerd that cannot be reached is no failure here: the lease expires by itself, and an exception thrown from
    /// a dispose would hide the one that led to it.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await DeleteAsync(collect: false, CancellationToken.None);
        }
        catch (FailureException e) when (e.Error.Kind == ErrorKind.Unavailable)
        {
        }
    }
}
