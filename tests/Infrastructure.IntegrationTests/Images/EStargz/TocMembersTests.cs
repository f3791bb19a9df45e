using System.Text;
using Starlight.Infrastructure.Images.EStargz;

namespace Starlight.Infrastructure.IntegrationTests.Images.EStargz;

public sealed class TocMembersTests
{
    /// <summary>A blob of a megabyte can hold a gigabyte of one letter.</summary>
    [Fact]
    public void Append_OfAStringWithoutEnd_KeepsLittleOfIt()
    {
        TocMembers toc = new([]);
        byte[] letters = Encoding.ASCII.GetBytes(new string('a', 1 << 16));
        toc.Append("""{"version":1,"entries":[{"name":" """u8);
        long before = GC.GetAllocatedBytesForCurrentThread();

        for (int i = 0; i < 1000; i++)
        {
            toc.Append(letters);
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(16 << 20);
        toc.Finish(1000).ShouldBeNull();
    }
}
