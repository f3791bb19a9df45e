using MediatR;
using Starlight.Application.Abstractions.Proxies;
using Starlight.Application.Abstractions.Tracing;
using Starlight.Domain.Ordering;
using Starlight.Domain.Proxies;
using Starlight.Domain.SharedKernel;

namespace Starlight.Application.Optimize;

/// <summary>
/// Sends finished traces to the proxies of their images. What a proxy has stored, or will never take, is deleted here; what could not be sent stays for the next time.
/// </summary>
/// <param name="ProfileName">Where all of them go; null or empty: each to the proxy that its image was pulled through, or to the default one if that profile is gone.</param>
/// <param name="Worker">What this worker calls itself.</param>
/// <param name="OnlyUnasked">Only those that the daemon reports by itself.</param>
public sealed record SendTracesCommand(string? ProfileName, string Worker, bool OnlyUnasked = false) : IRequest<Result<SentTraces>>;

/// <summary>What became of the traces.</summary>
/// <param name="Images">Per image how many were stored.</param>
/// <param name="Refused">Traces that the proxy will never take, with its reason; they are deleted.</param>
/// <param name="Kept">How many could not be sent and stay.</param>
/// <param name="Failure">Why; null if all were sent.</param>
public sealed record SentTraces(IReadOnlyList<SentImage> Images, IReadOnlyList<RefusedTrace> Refused, int Kept, Error? Failure);

public sealed record SentImage(string Reference, int Traces, int Opens);

public sealed record RefusedTrace(string Reference, Error Reason);

internal sealed class SendTracesHandler(ITraceLog log, IProxyProfiles profiles, IProxyClient proxies) : IRequestHandler<SendTracesCommand, Result<SentTraces>>
{
    /// <summary>Opens in one request: some 9 MB, well below what a proxy takes, and little is sent again if the request fails. Arbitrary.</summary>
    private const int MaxOpens = 100_000;

    private const int MaxTraces = 64;

    public async Task<Result<SentTraces>> Handle(SendTracesCommand request, CancellationToken cancellationToken)
    {
        List<TraceHeader> waiting = [.. log.State.Finished.Select(t => t.Header).Where(h => !request.OnlyUnasked || h.IsReportedByItself)];
        Outcome outcome = new();
        foreach (IGrouping<string, TraceHeader> some in waiting.GroupBy(h => string.IsNullOrEmpty(request.ProfileName) ? h.ProxyProfile : request.ProfileName, StringComparer.Ordinal))
        {
            Result<ProxyProfile> proxy = profiles.Find(some.Key);
            if (!proxy.IsSuccess && string.IsNullOrEmpty(request.ProfileName))
            {
                proxy = profiles.Find(null);
            }

            if (!proxy.IsSuccess)
            {
                outcome.Keep([.. some], proxy.Error);
                continue;
            }

            await SendAsync(proxy.Value, request.Worker, [.. some], outcome, cancellationToken);
        }

        return outcome.Images.Count == 0 && outcome.Refused.Count == 0 && outcome.Failure is { } failure ? failure : outcome.ToResult();
    }

    private async Task SendAsync(ProxyProfile proxy, string worker, IReadOnlyList<TraceHeader> headers, Outcome outcome, CancellationToken cancellationToken)
    {
        int next = 0;
        while (next < headers.Count)
        {
            List<(TraceHeader Header, Trace Trace)> batch = [];
            for (int opens = 0; next < headers.Count && batch.Count < MaxTraces && opens < MaxOpens; next++)
            {
                try
                {
                    if (log.Read(headers[next].Id) is { } trace)
                    {
                        batch.Add((headers[next], trace));
                        opens += trace.Opens.Count;
                    }
                    else
                    {
                        log.Delete(headers[next].Id); // gone meanwhile, or nothing usable in it
                    }
                }
                catch (FailureException e)
                {
                    outcome.Keep([headers[next]], e.Error); // the others can be sent
                }
            }

            if (batch.Count == 0)
            {
                continue;
            }

            try
            {
                IReadOnlyList<Error?> answers = await proxies.ReportAsync(proxy, worker, [.. batch.Select(b => b.Trace)], cancellationToken);
                for (int i = 0; i < batch.Count; i++)
                {
                    log.Delete(batch[i].Header.Id);
                    outcome.Add(batch[i].Header, batch[i].Trace, answers[i]);
                }
            }
            catch (FailureException e)
            {
                // The next batch would fare no better.
                outcome.Keep([.. batch.Select(b => b.Header), .. headers.Skip(next)], e.Error);
                return;
            }
        }
    }

    private sealed class Outcome
    {
        private readonly Dictionary<string, SentImage> _images = new(StringComparer.Ordinal);

        private int _kept;

        public IReadOnlyCollection<SentImage> Images => _images.Values;

        public List<RefusedTrace> Refused { get; } = [];

        public Error? Failure { get; private set; }

        public void Add(TraceHeader header, Trace trace, Error? refusal)
        {
            if (refusal is not null)
            {
                Refused.Add(new RefusedTrace(header.Reference, refusal));
                return;
            }

            SentImage before = _images.GetValueOrDefault(header.Reference) ?? new SentImage(header.Reference, 0, 0);
            _images[header.Reference] = new SentImage(header.Reference, before.Traces + 1, before.Opens + trace.Opens.Count);
        }

        public void Keep(IReadOnlyCollection<TraceHeader> headers, Error failure)
        {
            _kept += headers.Count;
            Failure ??= failure;
        }

        public SentTraces ToResult() => new([.. _images.Values.OrderBy(i => i.Reference, StringComparer.Ordinal)], Refused, _kept, Failure);
    }
}
