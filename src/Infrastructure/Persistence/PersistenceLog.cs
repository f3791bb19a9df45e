using Microsoft.Extensions.Logging;

namespace Starlight.Infrastructure.Persistence;

internal static partial class PersistenceLog
{
    [LoggerMessage(1, LogLevel.Information, "catalog {Database}: schema {Version} applied ({Name})")]
    public static partial void Migrated(ILogger logger, string database, int version, string name);

    [LoggerMessage(2, LogLevel.Warning, "catalog {Database} cannot be reached yet: {Reason}; trying again in {Seconds:F0} s")]
    public static partial void Waiting(ILogger logger, string database, string reason, double seconds);

    [LoggerMessage(3, LogLevel.Information, "catalog {Database} is ready")]
    public static partial void Ready(ILogger logger, string database);

    [LoggerMessage(4, LogLevel.Debug, "catalog {Database} could not be warmed up: {Reason}")]
    public static partial void WarmUpFailed(ILogger logger, string database, string reason);
}
