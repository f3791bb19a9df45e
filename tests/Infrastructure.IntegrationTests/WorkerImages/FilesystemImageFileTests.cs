using System.Globalization;
using Starlight.Domain.SharedKernel;
using Starlight.Infrastructure.WorkerImages;
using Starlight.TestKit;

namespace Starlight.Infrastructure.IntegrationTests.WorkerImages;

public sealed class FilesystemImageFileTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Write_OnAFullDisk_SaysSo()
    {
        Requirements.Root();
        string disk = _scratch.Create("disk");
        (await ProcessRunner.RunAsync("mount", ["-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={Environment.SystemPageSize}"), "none", disk])).Succeeded();
        try
        {
            FailureException failure = await Should.ThrowAsync<FailureException>(
                () => FilesystemImageFile.WriteAsync(Path.Combine(disk, "chain", "filesystem.erofs"), new byte[1 << 20], CancellationToken.None));

            failure.Error.ShouldSatisfyAllConditions(e => e.Code.ShouldBe("Image.NoSpace"), e => e.Kind.ShouldBe(ErrorKind.ResourceExhausted));
        }
        finally
        {
            (await ProcessRunner.RunAsync("umount", [disk])).Succeeded();
        }
    }
}
