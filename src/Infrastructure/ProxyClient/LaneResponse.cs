namespace Starlight.Infrastructure.ProxyClient;

/// <summary>An answer that gives its connection back when it is disposed.</summary>
internal sealed class LaneResponse : HttpResponseMessage
{
    private readonly ProxyLine _line;
    private ProxyLane? _lane;

    public LaneResponse(HttpResponseMessage answer, ProxyLine line, ProxyLane lane)
        : base(answer.StatusCode)
    {
        (_line, _lane) = (line, lane);
        Version = answer.Version;
        ReasonPhrase = answer.ReasonPhrase;
        Content = answer.Content;
        foreach ((string name, System.Net.Http.Headers.HeaderStringValues values) in answer.Headers.NonValidated)
        {
            Headers.TryAddWithoutValidation(name, values);
        }
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing && Interlocked.Exchange(ref _lane, null) is { } lane)
        {
            _line.Return(lane);
        }
    }
}
