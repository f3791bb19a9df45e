using Starlight.Domain.References;
using Starlight.Domain.Scanning;

namespace Starlight.Application.Scanner;

/// <summary>What the operator allows the scanner to do.</summary>
/// <param name="Rules">What is done with pushed tags.</param>
/// <param name="Registries">Hosts that may be named by a webhook; no other is ever contacted because of one.</param>
/// <param name="InsecureRegistries">Hosts where plain HTTP and unchecked certificates are acceptable, as sources and as destinations.</param>
public sealed record ScannerOptions(ScanRules Rules, IReadOnlySet<string> Registries, IReadOnlySet<string> InsecureRegistries)
{
    /// <summary>A proxy that has not been heard of for so long has died, and its jobs go to others.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How often progress is written and the lease renewed: many times per lease, so that a short pause of the database costs nothing.</summary>
    public TimeSpan Beat { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long jobs that have ended are listed, and told apart from new ones.</summary>
    public TimeSpan Memory { get; init; } = TimeSpan.FromDays(30);

    public bool IsInsecure(ImageReference reference) => InsecureRegistries.Contains(reference.Registry);
}
