using FsCheck;
using FsCheck.Fluent;
using Starlight.Infrastructure.Grpc;

namespace Starlight.Infrastructure.IntegrationTests.Grpc;

public sealed class GrpcProtocolTests
{
    [Theory]
    [InlineData("1n", 1)] // below a tick: rounded up, never to "at once"
    [InlineData("100n", 1)]
    [InlineData("5u", 50)]
    [InlineData("250m", 2_500_000)]
    [InlineData("3S", 30_000_000)]
    [InlineData("2M", 1_200_000_000)]
    [InlineData("99999999H", 3_599_999_964_000_000_000)]
    public void ParseTimeout_WhenWellFormed_GivesTicks(string text, long ticks) => GrpcProtocol.ParseTimeout(text).ShouldBe(new TimeSpan(ticks));

    [Theory]
    [InlineData("")]
    [InlineData("S")]
    [InlineData("1")]
    [InlineData("123456789S")]
    [InlineData("-1S")]
    [InlineData("+1S")]
    [InlineData(" 1S")]
    [InlineData("1s")]
    [InlineData("1.5S")]
    [InlineData("1SS")]
    public void ParseTimeout_WhenMalformed_GivesNull(string text) => GrpcProtocol.ParseTimeout(text).ShouldBeNull();

    [Theory]
    [InlineData(0, "1u")]
    [InlineData(15, "2u")] // 1.5 µs rounds up
    [InlineData(10_000_000, "1000000u")]
    [InlineData(36_000_000_000_000, "3600000S")]
    public void FormatTimeout_TakesTheFinestUnitThatFits(long ticks, string expected)
    {
        // 3,600,000 s is 3.6e9 ms: nine digits and more in every finer unit.
        GrpcProtocol.FormatTimeout(new TimeSpan(ticks)).ShouldBe(expected);
    }

    [Fact]
    public void Timeout_WhenFormattedAndParsed_IsNeverShorter() => Prop.ForAll<long>(value =>
    {
        TimeSpan timeout = new(Math.Abs(value % TimeSpan.FromDays(3650).Ticks) + 1);
        TimeSpan back = GrpcProtocol.ParseTimeout(GrpcProtocol.FormatTimeout(timeout))!.Value;
        return back >= timeout && back.Ticks <= timeout.Ticks * 1.00001 + TimeSpan.TicksPerMicrosecond;
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("plain text", "plain text")]
    [InlineData("100 %", "100 %25")]
    [InlineData("a\nb", "a%0Ab")]
    [InlineData("Grüße", "Gr%C3%BC%C3%9Fe")]
    public void EncodeMessage_EscapesWhatHeadersCannotHold(string message, string encoded)
    {
        GrpcProtocol.EncodeMessage(message).ShouldBe(encoded);
        GrpcProtocol.DecodeMessage(encoded).ShouldBe(message);
    }

    [Fact]
    public void Message_WhenEncodedAndDecoded_IsTheSame() => Prop.ForAll<NonNull<string>>(text =>
    {
        string valid = new([.. text.Get.Where(c => !char.IsSurrogate(c)).Take(500)]);
        string encoded = GrpcProtocol.EncodeMessage(valid);
        return encoded.All(c => c is >= ' ' and <= '~') && GrpcProtocol.DecodeMessage(encoded) == valid;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void EncodeMessage_WhenTooLongForHeaders_IsCutAtACharacter()
    {
        string decoded = GrpcProtocol.DecodeMessage(GrpcProtocol.EncodeMessage("x" + new string('ü', 5000)));
        decoded.Length.ShouldBeInRange(1000, 1025);
        decoded.ShouldNotContain('\uFFFD');
    }

    [Theory]
    [InlineData("%", "%")]
    [InlineData("%4", "%4")]
    [InlineData("%zz%41", "%zzA")]
    [InlineData("%FF", "\uFFFD")]
    [InlineData(null, "")]
    public void DecodeMessage_WhenAnEscapeIsInvalid_KeepsIt(string? encoded, string expected) => GrpcProtocol.DecodeMessage(encoded).ShouldBe(expected);

    [Theory]
    [InlineData("application/grpc", true)]
    [InlineData("application/grpc+proto", true)]
    [InlineData("application/grpc;charset=utf-8", true)]
    [InlineData("application/grpc-web", false)]
    [InlineData("application/json", false)]
    [InlineData(null, false)]
    public void IsGrpcContentType_TellsGrpcFromTheRest(string? contentType, bool expected) => GrpcProtocol.IsGrpcContentType(contentType).ShouldBe(expected);
}
