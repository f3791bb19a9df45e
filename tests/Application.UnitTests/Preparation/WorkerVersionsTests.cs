using System.Text;
using Starlight.Application.Delta;
using Starlight.Application.Preparation;
using Starlight.Domain.Bundles;
using Starlight.Domain.Content;
using Starlight.Domain.Images;
using Starlight.Domain.References;
using Starlight.TestKit;

namespace Starlight.Application.UnitTests.Preparation;

public class WorkerVersionsTests
{
    private const string Repository = "registry.example.com/app";

    private readonly InstantTime _time = new();
    private readonly WorkerVersions _versions;

    public WorkerVersionsTests() => _versions = new WorkerVersions(_time);

    [Fact]
    public void MostCommon_WhenWorkersHaveDifferentVersions_NamesWhatMostHaveFirst()
    {
        Pull(1, "v1");
        Pull(3, "v2");
        Pull(2, "v3");

        Common(2).ShouldBe(["v2", "v3"]);
        Common(10).ShouldBe(["v2", "v3", "v1"]);
        _versions.MostCommon("registry.example.com/other", 10).ShouldBeEmpty();
    }

    [Fact]
    public void Note_WhenAWorkerIsUpdated_CountsItWhereItIsNow()
    {
        Pull(3, "v1");
        Pull(2, "v2", "v1");

        Common(10).ShouldBe(["v2 v1", "v1"]);

        Pull(1, "v2", "v1");

        Common(10).ShouldBe(["v2 v1"]);
    }

    [Fact]
    public void MostCommon_AfterWeeks_PrefersWhatIsAskedForNow()
    {
        Pull(3, "v1");
        _time.Advance(TimeSpan.FromDays(21));
        Pull(1, "v2");

        Common(1).ShouldBe(["v2"]);
    }

    [Fact]
    public void Note_OfPartOfAnImage_CountsForNothing()
    {
        _versions.Note(Request("v1") with { Layers = 2 }, Delta("v1"));

        Common(10).ShouldBeEmpty();
    }

    [Fact]
    public void Note_OfManyVersionsAndRepositories_StaysBounded()
    {
        for (int i = 0; i < 200; i++)
        {
            Pull(1, $"v{i}");
        }

        for (int i = 0; i < 1500; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            ImageReference other = ImageReference.Parse($"registry.example.com/other{i}:v1").Value;
            _versions.Note(new GetDeltaQuery([other], Platform.Local, []), new DeltaBundle("", [new DeltaImage(other, Digest("x"), Digest("y"))], [], [], DeltaPlanner.Plan([], [])));
        }

        Common(1000).ShouldBeEmpty("the repository noted longest ago made room");
        _versions.MostCommon("registry.example.com/other1499", 10).Count.ShouldBe(1);
        Pull(1, "again");
        Common(1000).ShouldBe(["again"]);
        for (int i = 0; i < 200; i++)
        {
            Pull(1, $"v{i}");
        }

        Common(1000).Length.ShouldBe(32);
    }

    private static Digest Digest(string of) => Domain.Content.Digest.Of(Encoding.ASCII.GetBytes(of));

    private static GetDeltaQuery Request(string version, params string[] have) =>
        new([ImageReference.Parse($"{Repository}:{version}").Value], Platform.Local, [.. have.Select(h => ImageReference.Parse($"{Repository}:{h}").Value.WithDigest(Digest(h)))], Patches: true);

    private static DeltaBundle Delta(string version) =>
        new("", [new DeltaImage(ImageReference.Parse($"{Repository}:{version}").Value, Digest(version), Digest("tree"))], [], [], DeltaPlanner.Plan([], []));

    private void Pull(int workers, string version, params string[] have)
    {
        for (int i = 0; i < workers; i++)
        {
            _versions.Note(Request(version, have), Delta(version));
        }
    }

    private string[] Common(int count) => [.. _versions.MostCommon(Repository, count).Select(h => string.Join(' ', h.Images.Select(i => i.Tag)))];
}
