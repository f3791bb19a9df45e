using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Starlight.Application.Convert;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.UnitTests.Convert;

public class JsonDocumentEditTests
{
    [Theory]
    [InlineData("{}")]
    [InlineData("  { \"a\" : [ 1.0e+5 , \"\\u00e9+\" , { } , [ ] , null ] ,\n\t\"b\":-0.0 } \n")]
    [InlineData("[12345678901234567890123456789]")]
    public void ToBytes_WhenNothingChanged_GivesTheSameBytes(string json) => Text(Edit(json)).ShouldBe(json);

    [Fact]
    public void Edit_WhenMembersChange_LeavesTheRestByteForByte()
    {
        JsonDocumentEdit root = Edit("""{ "a" : "x+\u003c" , "size":1,"list" : [ "one" ,  "two", "three" ], "gone": {"x":1} , "z":1.50 }""");

        root.SetMember("size", 99);
        root.Member("list")!.Items[1].Replace("2\"+");
        root.Member("list")!.RemoveItem(0);
        root.RemoveMember("gone");
        root.SetMember("new", "v");
        root.ObjectMember("annotations").SetMember("k", "w");

        Text(root).ShouldBe("""{ "a" : "x+\u003c" , "size":99,"list" : [ "2\"+", "three" ] , "z":1.50,"new":"v","annotations":{"k":"w"} }""");
    }

    [Theory]
    [InlineData("""{"a":1}""", "a", "{}")]
    [InlineData("""{"a":1,"b":2}""", "a", """{"b":2}""")]
    [InlineData("""{"a":1,"b":2}""", "b", """{"a":1}""")]
    [InlineData("""{"a":1,"a":2,"c":3}""", "a", """{"c":3}""")]
    public void RemoveMember_WhenThere_LeavesValidJson(string json, string name, string expected)
    {
        JsonDocumentEdit root = Edit(json);
        root.RemoveMember(name);
        Text(root).ShouldBe(expected);
    }

    [Fact]
    public void SetMember_WhenObjectIsEmptyOrNull_FillsIt()
    {
        JsonDocumentEdit root = Edit("""{"annotations":null}""");
        root.ObjectMember("annotations").SetMember("a", "1");
        root.ObjectMember("annotations").SetMember("a", "2");
        Text(root).ShouldBe("""{"annotations":{"a":"2"}}""");

        JsonDocumentEdit empty = Edit("{ }");
        empty.SetMember("a", 1);
        Text(empty).ShouldBe("""{"a":1 }""");
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{}}")]
    [InlineData("{\"a\":}")]
    public void Parse_WhenNotJson_Fails(string json) => Should.Throw<FailureException>(() => Edit(json)).Error.Kind.ShouldBe(ErrorKind.DataCorrupt);

    [Fact]
    public void Parse_WhenNestedDeeply_Fails() => Should.Throw<FailureException>(() => Edit(new string('[', 1000) + new string(']', 1000)));

    /// <summary>Any removals and additions anywhere leave JSON that says what was meant.</summary>
    [Fact]
    public void Edit_WhenAnythingIsRemovedAndAdded_SaysTheRest() => Prop.ForAll(
        Gen.Elements("a", "b", "c", "d").ListOf().Two().ToArbitrary(),
        lists =>
        {
            string[] present = [.. lists.Item1.Distinct()];
            string[] removed = [.. lists.Item2.Distinct()];
            JsonDocumentEdit root = Edit("{ " + string.Join(" , ", present.Select(n => $"\"{n}\": \"{n}\"")) + "\n}");
            Array.ForEach(removed, root.RemoveMember);
            root.SetMember("c", "new");

            using JsonDocument result = JsonDocument.Parse(root.ToBytes());
            Dictionary<string, string> actual = result.RootElement.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!);
            actual.Keys.Order().ShouldBe(present.Except(removed).Append("c").Distinct().Order());
            actual["c"].ShouldBe("new");
        }).QuickCheckThrowOnFailure();

    private static JsonDocumentEdit Edit(string json) => JsonDocumentEdit.Parse("it", Encoding.UTF8.GetBytes(json));

    private static string Text(JsonDocumentEdit edit) => Encoding.UTF8.GetString(edit.ToBytes());
}
