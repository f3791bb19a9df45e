using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Content;

/// <summary>
/// A SHA-256 content digest, kept as four words so that sets of many thousands stay small and compare fast. Its text form is
/// <c>sha256:</c> and 64 lower-case hex digits (OCI image-spec, descriptor.md#digests). Other algorithms are refused: registries and
/// containerd use sha256 throughout.
/// </summary>
public readonly struct Digest : IEquatable<Digest>, IComparable<Digest>
{
    /// <summary>Length of the raw digest in bytes.</summary>
    public const int Size = 32;

    /// <summary>Length of the hexadecimal form without the algorithm prefix.</summary>
    public const int HexLength = 64;

    private const string Prefix = "sha256:";

    private readonly ulong _a;
    private readonly ulong _b;
    private readonly ulong _c;
    private readonly ulong _d;

    public Digest(ReadOnlySpan<byte> raw)
    {
        if (raw.Length != Size)
        {
            throw new ArgumentException($"a sha256 digest has {Size} bytes, not {raw.Length}", nameof(raw));
        }

        _a = BinaryPrimitives.ReadUInt64BigEndian(raw);
        _b = BinaryPrimitives.ReadUInt64BigEndian(raw[8..]);
        _c = BinaryPrimitives.ReadUInt64BigEndian(raw[16..]);
        _d = BinaryPrimitives.ReadUInt64BigEndian(raw[24..]);
    }

    /// <summary>The digest of no bytes: what every empty file has.</summary>
    public static Digest Empty { get; } = Of([]);

    /// <summary>The 64 lower-case hex digits.</summary>
    public string Hex => string.Create(HexLength, this, static (span, digest) =>
    {
        Span<byte> raw = stackalloc byte[Size];
        digest.CopyTo(raw);
        Convert.TryToHexStringLower(raw, span, out _);
    });

    /// <summary>Where this content lives below an object store: <c>ab/cdef…</c> (design page, section 2).</summary>
    public string ObjectPath
    {
        get
        {
            string hex = Hex;
            return string.Concat(hex.AsSpan(0, 2), "/", hex.AsSpan(2));
        }
    }

    /// <summary>True for <c>default(Digest)</c>, which is the digest of nothing known and marks "not set".</summary>
    public bool IsDefault => (_a | _b | _c | _d) == 0;

    public static bool operator ==(Digest left, Digest right) => left.Equals(right);

    public static bool operator !=(Digest left, Digest right) => !left.Equals(right);

    public static Digest Of(ReadOnlySpan<byte> content)
    {
        Span<byte> raw = stackalloc byte[Size];
        SHA256.HashData(content, raw);
        return new Digest(raw);
    }

    public static Result<Digest> Parse(string? text) =>
        TryParse(text, out Digest digest)
            ? digest
            : new Error("Digest.Malformed", $"'{text}' is not a digest: write sha256: and 64 lower-case hex digits", ErrorKind.InvalidInput);

    public static bool TryParse([NotNullWhen(true)] string? text, out Digest digest)
    {
        digest = default;
        return text is not null && text.StartsWith(Prefix, StringComparison.Ordinal) && TryParseHex(text.AsSpan(Prefix.Length), out digest);
    }

    /// <summary>Parses the 64 hex digits without the prefix; upper case is refused, as in the specification.</summary>
    public static bool TryParseHex(ReadOnlySpan<char> hex, out Digest digest)
    {
        digest = default;
        if (hex.Length != HexLength || hex.ContainsAnyInRange('A', 'F'))
        {
            return false;
        }

        Span<byte> raw = stackalloc byte[Size];
        if (Convert.FromHexString(hex, raw, out _, out int written) != System.Buffers.OperationStatus.Done || written != Size)
        {
            return false;
        }

        digest = new Digest(raw);
        return true;
    }

    /// <summary>Writes the 32 raw bytes.</summary>
    public void CopyTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, _a);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], _b);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], _c);
        BinaryPrimitives.WriteUInt64BigEndian(destination[24..], _d);
    }

    public byte[] ToArray()
    {
        byte[] raw = new byte[Size];
        CopyTo(raw);
        return raw;
    }

    public bool Equals(Digest other) => _a == other._a && _b == other._b && _c == other._c && _d == other._d;

    public override bool Equals(object? obj) => obj is Digest other && Equals(other);

    /// <summary>Digests are what strangers say they are, so a part of one would not do.</summary>
    public override int GetHashCode() => SeededHash.Of(_a, _b, _c, _d);

    /// <summary>Order of the raw bytes, which is also the order of the hex forms.</summary>
    public int CompareTo(Digest other)
    {
        int order = _a.CompareTo(other._a);
        order = order != 0 ? order : _b.CompareTo(other._b);
        order = order != 0 ? order : _c.CompareTo(other._c);
        return order != 0 ? order : _d.CompareTo(other._d);
    }

    public override string ToString() => Prefix + Hex;
}
