using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Maintenance;

internal static class MaintenanceErrors
{
    public static Error NotIndexed(string name) => new("Image.NotIndexed", $"{name} is not indexed: see starlight-proxy list", ErrorKind.NotFound);

    public static Error Collecting() =>
        new("Maintenance.Running", "a garbage collection is running on this proxy: ask again when it is done", ErrorKind.FailedPrecondition);
}
