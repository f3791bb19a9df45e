using System.Runtime.InteropServices;
using Starlight.Domain.SharedKernel;

namespace Starlight.Domain.Images;

/// <summary>Operating system, architecture and variant, normalised as containerd's platforms package does (x86_64 → amd64, aarch64 → arm64, arm64/v8 → arm64).</summary>
public sealed record Platform(string Os, string Architecture, string? Variant = null)
{
    /// <summary>The platform this process runs on.</summary>
    public static Platform Local { get; } = new("linux", RuntimeInformation.OSArchitecture switch
    {
        System.Runtime.InteropServices.Architecture.X64 => "amd64",
        System.Runtime.InteropServices.Architecture.Arm64 => "arm64",
        System.Runtime.InteropServices.Architecture.Arm => "arm",
        System.Runtime.InteropServices.Architecture.X86 => "386",
        System.Runtime.InteropServices.Architecture.S390x => "s390x",
        System.Runtime.InteropServices.Architecture.Ppc64le => "ppc64le",
        System.Runtime.InteropServices.Architecture.LoongArch64 => "loong64",
        System.Runtime.InteropServices.Architecture.RiscV64 => "riscv64",
        _ => "unknown",
    });

    /// <summary>BuildKit's attestation manifests carry <c>unknown/unknown</c>: they are not images.</summary>
    public bool IsUnknown => Os is "unknown" or "" || Architecture is "unknown" or "";

    public static Result<Platform> Parse(string? text)
    {
        string[] parts = (text ?? "").Trim().ToLowerInvariant().Split('/');
        if (parts.Length is < 2 or > 3 || parts.Any(p => p.Length == 0 || !p.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')))
        {
            return new Error("Platform.Malformed", $"'{text}' is not a platform: write os/architecture or os/architecture/variant, e.g. linux/amd64", ErrorKind.InvalidInput);
        }

        return Normalise(parts[0], parts[1], parts.Length == 3 ? parts[2] : null);
    }

    public static Platform Normalise(string os, string architecture, string? variant)
    {
        string arch = architecture.ToLowerInvariant();
        string? v = string.IsNullOrEmpty(variant) ? null : variant.ToLowerInvariant();
        (arch, v) = (arch, v) switch
        {
            ("x86_64" or "x86-64" or "amd64", "v1" or null) => ("amd64", null),
            ("x86_64" or "x86-64", _) => ("amd64", v),
            ("i386" or "i686" or "386", _) => ("386", null),
            ("aarch64" or "arm64", "8" or "v8" or null) => ("arm64", null),
            ("aarch64", _) => ("arm64", v),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "7" or null) => ("arm", "v7"),
            ("arm", "5" or "6" or "8") => ("arm", "v" + v),
            _ => (arch, v),
        };
        return new Platform(os.ToLowerInvariant() is "macos" ? "darwin" : os.ToLowerInvariant(), arch, v);
    }

    public override string ToString() => Variant is null ? $"{Os}/{Architecture}" : $"{Os}/{Architecture}/{Variant}";
}
