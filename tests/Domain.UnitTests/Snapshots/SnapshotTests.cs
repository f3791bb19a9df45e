using Starlight.Domain.SharedKernel;
using Starlight.Domain.Snapshots;

namespace Starlight.Domain.UnitTests.Snapshots;

public sealed class SnapshotTests
{
    private static readonly DateTimeOffset Later = Samples.Now.AddMinutes(1);
    private static readonly SnapshotUsage Usage = new(4096, 2);

    [Theory]
    [InlineData(SnapshotKind.Active, "Snapshot.NotMountable", false)]
    [InlineData(SnapshotKind.View, "Snapshot.NotMountable", false)]
    [InlineData(SnapshotKind.Committed, "Snapshot.NotMountable", true)]
    public void CheckMountable_FailsForCommittedOnly(SnapshotKind kind, string code, bool fails) =>
        (Samples.Snapshot("k", kind).CheckMountable().Error?.Code == code).ShouldBe(fails);

    [Fact]
    public void Commit_OfAnActive_KeepsNumberAndParentAndTakesTheCommitsLabels()
    {
        Snapshot active = Samples.Snapshot("k", SnapshotKind.Active, parent: "p", labels: [("old", "1")], id: 7);

        Snapshot committed = active.Commit(Samples.Key("name"), new Dictionary<string, string> { ["new"] = "2", ["empty"] = "" }, Usage, Later).Value;

        committed.Id.ShouldBe(7);
        committed.Key.Value.ShouldBe("name");
        committed.Kind.ShouldBe(SnapshotKind.Committed);
        committed.Parent.ShouldBe(Samples.Key("p"));
        committed.Labels.ShouldBe(new Dictionary<string, string> { ["new"] = "2" });
        committed.Created.ShouldBe(Later);
        committed.Updated.ShouldBe(Later);
        committed.Usage.ShouldBe(Usage);
    }

    [Theory]
    [InlineData(SnapshotKind.View)]
    [InlineData(SnapshotKind.Committed)]
    public void Commit_OfAnythingElse_FailsAsPrecondition(SnapshotKind kind) =>
        Samples.Snapshot("k", kind).Commit(Samples.Key("n"), SnapshotLabels.None, Usage, Later).Error.ShouldNotBeNull().Kind.ShouldBe(ErrorKind.FailedPrecondition);

    [Fact]
    public void CheckRemovable_WithChildren_FailsAsPrecondition()
    {
        Error error = Samples.Snapshot("k", SnapshotKind.Committed).CheckRemovable(hasChildren: true).Error.ShouldNotBeNull();

        error.Kind.ShouldBe(ErrorKind.FailedPrecondition);
        error.Message.ShouldContain("remove");
        Samples.Snapshot("k", SnapshotKind.Committed).CheckRemovable(hasChildren: false).IsSuccess.ShouldBeTrue();
    }

    [Fact]
    public void Prepare_WhenParentIsMissing_FailsAsNotFound() =>
        SnapshotDraft.Prepare(Samples.Key("k"), SnapshotKind.Active, Samples.Key("p"), null, SnapshotLabels.None, Samples.Now)
            .Error.ShouldNotBeNull().Kind.ShouldBe(ErrorKind.NotFound);

    [Theory]
    [InlineData(SnapshotKind.Active)]
    [InlineData(SnapshotKind.View)]
    public void Prepare_WhenParentIsNotCommitted_FailsAsInvalid(SnapshotKind kind) =>
        SnapshotDraft.Prepare(Samples.Key("k"), SnapshotKind.View, Samples.Key("p"), Samples.Snapshot("p", kind), SnapshotLabels.None, Samples.Now)
            .Error.ShouldNotBeNull().Kind.ShouldBe(ErrorKind.InvalidInput);

    [Fact]
    public void Prepare_WithALabelOfMoreThan4096Bytes_FailsAsInvalid() =>
        SnapshotDraft.Prepare(Samples.Key("k"), SnapshotKind.Active, null, null, new Dictionary<string, string> { ["é"] = new string('x', 4095) }, Samples.Now)
            .Error.ShouldNotBeNull().Code.ShouldBe("Snapshot.LabelTooLarge");

    [Fact]
    public void Provided_AlwaysCarriesItsReference()
    {
        SnapshotDraft draft = SnapshotDraft.Provided(Samples.Key("sha256:ab"), "sha256:ab", null, null, SnapshotLabels.None, Samples.Now).Value;

        draft.Kind.ShouldBe(SnapshotKind.Committed);
        draft.Labels[SnapshotLabels.Reference].ShouldBe("sha256:ab");
        draft.ProvidedChainId.ShouldBe("sha256:ab");
    }

    [Theory]
    [InlineData("", "l1=new l4=v4")]
    [InlineData("labels", "l1=new l4=v4")]
    [InlineData("labels.l1", "l1=new l2=v2 l3=v3")]
    [InlineData("labels.l1 labels.l2", "l1=new l3=v3")]
    [InlineData("labels.l4", "l1=v1 l2=v2 l3=v3 l4=v4")]
    [InlineData("labels.a.b/c", "l1=v1 l2=v2 l3=v3")]
    public void Update_ByFieldPaths_ChangesThoseLabels(string paths, string expected)
    {
        Snapshot before = Samples.Snapshot("k", SnapshotKind.Active, labels: [("l1", "v1"), ("l2", "v2"), ("l3", "v3")]);

        Snapshot after = before.Update(
            new Dictionary<string, string> { ["l1"] = "new", ["l4"] = "v4" }, paths.Split(' ', StringSplitOptions.RemoveEmptyEntries), Later).Value;

        string.Join(' ', after.Labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}={l.Value}")).ShouldBe(expected);
        after.Created.ShouldBe(Samples.Now);
        after.Updated.ShouldBe(Later);
    }

    [Theory]
    [InlineData("parent")]
    [InlineData("name")]
    [InlineData("kind")]
    [InlineData("labelsx")]
    public void Update_OfAnythingElse_FailsAsInvalid(string path) =>
        Samples.Snapshot("k", SnapshotKind.Active).Update(SnapshotLabels.None, [path], Later).Error.ShouldNotBeNull().Kind.ShouldBe(ErrorKind.InvalidInput);

    [Theory]
    [InlineData("")]
    [InlineData("labels")]
    [InlineData("labels.containerd.io/snapshot.ref")]
    public void Update_OfAProvided_KeepsItsReference(string path)
    {
        Snapshot provided = Samples.Snapshot("n", SnapshotKind.Committed, labels: [(SnapshotLabels.Reference, "c")], providedChainId: "c");

        provided.Update(SnapshotLabels.None, path.Length == 0 ? [] : [path], Later).Value.Labels[SnapshotLabels.Reference].ShouldBe("c");
    }

    [Fact]
    public void Inherited_KeepsReferenceAndPrefixedLabelsOnly() =>
        SnapshotLabels.Inherited(new Dictionary<string, string>
        {
            ["containerd.io/snapshot.ref"] = "r",
            ["containerd.io/snapshot/remote/stargz.reference"] = "i",
            ["containerd.io/snapshot.other"] = "o",
            ["containerd.io/gc.root"] = "g",
        }).Keys.ShouldBe(["containerd.io/snapshot.ref", "containerd.io/snapshot/remote/stargz.reference"], ignoreOrder: true);

    [Fact]
    public void ParentStack_StopsAtTheTopmostProvided()
    {
        ParentStack stack = ParentStack.Of(
        [
            Samples.Snapshot("d", SnapshotKind.Committed, id: 4),
            Samples.Snapshot("c", SnapshotKind.Committed, id: 3),
            Samples.Snapshot("b", SnapshotKind.Committed, id: 2, providedChainId: "chain-b"),
            Samples.Snapshot("a", SnapshotKind.Committed, id: 1),
        ]);

        stack.Ordinary.ShouldBe([4, 3]);
        stack.ProvidedChainId.ShouldBe("chain-b");
    }

    [Theory]
    [InlineData("sha256:ab", "sha256:ab")]
    [InlineData("default/12/sha256:ab", "sha256:ab")]
    [InlineData("k8s.io/7/a/b", "a/b")]
    [InlineData("a/b/c", "a/b/c")]
    [InlineData("a//c", "a//c")]
    public void ChainName_StripsContainerdsPrefix(string name, string chainId) =>
        ChainName.Of(Samples.Snapshot(name, SnapshotKind.Committed)).ShouldBe(chainId);

    [Fact]
    public void Parse_OfAnEmptyOrOversizedKey_FailsAsInvalid()
    {
        SnapshotKey.Parse("").Error.ShouldNotBeNull().Kind.ShouldBe(ErrorKind.InvalidInput);
        SnapshotKey.Parse(new string('k', SnapshotKey.MaxLength + 1)).Error.ShouldNotBeNull().Code.ShouldBe("Snapshot.KeyTooLong");
        SnapshotKey.ParseOptional("", "parent").Value.ShouldBeNull();
        SnapshotKey.ParseOptional("p", "parent").Value.ShouldBe(Samples.Key("p"));
    }
}
