using System.Globalization;
using System.Text;

namespace Starlight.Infrastructure.Grpc;

/// <summary>Header names and text encodings of gRPC over HTTP/2 (gRPC core, doc/PROTOCOL-HTTP2.md).</summary>
internal static class GrpcProtocol
{
    public const string ContentType = "application/grpc";
    public const string StatusHeader = "grpc-status";
    public const string MessageHeader = "grpc-message";
    public const string TimeoutHeader = "grpc-timeout";
    public const string EncodingHeader = "grpc-encoding";
    public const string AcceptEncodingHeader = "grpc-accept-encoding";
    public const string Identity = "identity";

    /// <summary>Carries the stable <see cref="Domain.SharedKernel.Error.Code"/> next to the status, which is too coarse to act on.</summary>
    public const string ErrorCodeHeader = "starlight-error-code";

    /// <summary>
    /// Largest message accepted unless told otherwise. containerd's own limit is 16 MiB (defaults.DefaultMaxRecvMsgSize), so nothing larger can come from or go to it.
    /// </summary>
    public const int DefaultMaxMessageSize = 16 * 1024 * 1024;

    /// <summary>
    /// Longest grpc-message sent, in UTF-8 bytes. HTTP/2 peers limit all headers together to 8–16 KiB, and percent-encoding can triple a byte: a longer one would cost the
    /// peer the status too.
    /// </summary>
    private const int MaxMessageBytes = 2048;

    private static readonly (char Unit, long Ticks)[] s_timeoutUnits =
    [
        ('n', 0), // below a tick: see ParseTimeout
        ('u', TimeSpan.TicksPerMicrosecond),
        ('m', TimeSpan.TicksPerMillisecond),
        ('S', TimeSpan.TicksPerSecond),
        ('M', TimeSpan.TicksPerMinute),
        ('H', TimeSpan.TicksPerHour),
    ];

    /// <summary><c>application/grpc</c>, <c>application/grpc+proto</c> or either with parameters; <c>application/grpc-web</c> is another protocol.</summary>
    public static bool IsGrpcContentType(string? value) =>
        value is not null
        && value.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
        && (value.Length == ContentType.Length || value[ContentType.Length] is ';' or '+');

    /// <summary>Parses <c>TimeoutValue TimeoutUnit</c>: 1 to 8 digits and one of H M S m u n. Null if malformed.</summary>
    public static TimeSpan? ParseTimeout(ReadOnlySpan<char> text)
    {
        if (text.Length is < 2 or > 9 || !long.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out long value))
        {
            return null;
        }

        char unit = text[^1];
        if (unit == 'n')
        {
            return new TimeSpan((value + 99) / 100);
        }

        foreach ((char known, long ticks) in s_timeoutUnits)
        {
            if (unit == known)
            {
                return new TimeSpan(value * ticks); // at most 99,999,999 h = 3.6e18 ticks, below Int64.MaxValue
            }
        }

        return null;
    }

    /// <summary>The finest unit in which the value fits the eight digits allowed, rounded up so that the peer never gives up before we do.</summary>
    public static string FormatTimeout(TimeSpan timeout)
    {
        const long limit = 99_999_999;
        long remaining = Math.Max(timeout.Ticks, 1);
        foreach ((char unit, long ticks) in s_timeoutUnits)
        {
            if (ticks == 0)
            {
                continue;
            }

            long value = (remaining / ticks) + (remaining % ticks == 0 ? 0 : 1);
            if (value <= limit)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{value}{unit}");
            }
        }

        return string.Create(CultureInfo.InvariantCulture, $"{limit}H");
    }

    /// <summary>Percent-encodes the UTF-8 bytes outside 0x20–0x7E and <c>%</c>; cuts what is too long for a header at a character border.</summary>
    public static string EncodeMessage(string message)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(message);
        int length = utf8.Length;
        if (length > MaxMessageBytes)
        {
            length = MaxMessageBytes;
            while ((utf8[length] & 0xC0) == 0x80)
            {
                length--;
            }
        }

        StringBuilder text = new(length);
        foreach (byte b in utf8.AsSpan(0, length))
        {
            if (b is >= 0x20 and <= 0x7E and not (byte)'%')
            {
                text.Append((char)b);
            }
            else
            {
                text.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
            }
        }

        return text.ToString();
    }

    /// <summary>The inverse; never fails: an invalid escape stays as it is and invalid UTF-8 becomes U+FFFD, as the specification asks.</summary>
    public static string DecodeMessage(string? encoded)
    {
        if (encoded is null || !encoded.Contains('%'))
        {
            return encoded ?? "";
        }

        byte[] source = Encoding.UTF8.GetBytes(encoded);
        byte[] utf8 = new byte[source.Length];
        int written = 0;
        for (int i = 0; i < source.Length; i++)
        {
            if (source[i] == '%'
                && i + 2 < source.Length
                && byte.TryParse(source.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
            {
                utf8[written++] = value;
                i += 2;
            }
            else
            {
                utf8[written++] = source[i];
            }
        }

        return Encoding.UTF8.GetString(utf8, 0, written);
    }
}
