using Starlight.Application.Notify;
using Starlight.Domain.SharedKernel;
using Starlight.Presentation.Proxy.Problems;

namespace Starlight.Presentation.Proxy.Endpoints;

/// <summary>The JSON form of <see cref="NotifyReport"/>; sizes in bytes, time in milliseconds.</summary>
internal sealed record NotifyAnswer(
    string Reference, string Digest, IReadOnlyList<NotifyAnswerImage> Images, IReadOnlyList<string> Skipped, long NewContents, long NewContentBytes, long ElapsedMilliseconds)
{
    public static NotifyAnswer Of(NotifyReport report) => new(
        report.Reference.ToString(),
        report.Digest.ToString(),
        [.. report.Images.Select(NotifyAnswerImage.Of)],
        report.Skipped,
        report.NewContents,
        report.NewContentBytes,
        (long)report.Elapsed.TotalMilliseconds);
}

internal sealed record NotifyAnswerImage(
    string Platform, string Digest, string FilesystemDigest, bool New, int NewLayers, int KnownLayers, int Files, int Contents, long ContentBytes)
{
    public static NotifyAnswerImage Of(NotifiedImage image) => new(
        image.Platform.ToString(), image.Digest.ToString(), image.FilesystemDigest.ToString(), image.IsNew, image.NewLayers, image.KnownLayers, image.Files, image.Contents, image.ContentBytes);
}

/// <summary>One line of the <c>application/x-ndjson</c> answer: any number of <c>progress</c> lines, then one <c>result</c> or <c>error</c> line.</summary>
internal sealed record NotifyLine(string Type)
{
    public string? Stage { get; init; }

    public string? Subject { get; init; }

    public long? Bytes { get; init; }

    public long? Total { get; init; }

    public NotifyAnswer? Result { get; init; }

    public Problem? Error { get; init; }

    public static NotifyLine Of(NotifyProgress progress) => new("progress")
    {
        Stage = progress.Stage.ToString().ToLowerInvariant(),
        Subject = progress.Subject.ToString(),
        Bytes = progress.Bytes,
        Total = progress.Total,
    };

    public static NotifyLine Of(NotifyReport report) => new("result") { Result = NotifyAnswer.Of(report) };

    public static NotifyLine Of(Error error) => new("error") { Error = Problem.Of(error) };
}
