using Starlight.Application.Delta;
using Starlight.Domain.Images;
using Starlight.Domain.References;

namespace Starlight.Application.Preparation;

/// <summary>
/// Which versions of a repository workers have, as their requests tell: who was sent an image has it, beside those that the request named. Kept in memory, because requests tell it
/// anew; bounded. Safe for concurrent use.
/// </summary>
public sealed class WorkerVersions(TimeProvider time)
{
    /// <summary>A fleet that is being updated has two or three versions. Arbitrary; bounds memory.</summary>
    private const int MaxHoldingsPerRepository = 32;

    /// <summary>Arbitrary; bounds memory, with the limit above to some megabytes.</summary>
    private const int MaxRepositories = 1000;

    /// <summary>A worker that asked a week ago counts half. Arbitrary: versions live for days to weeks.</summary>
    private static readonly TimeSpan HalfLife = TimeSpan.FromDays(7);

    private readonly Lock _gate = new();

    /// <summary>By <see cref="ImageReference.Name"/>.</summary>
    private readonly Dictionary<string, Repository> _repositories = new(StringComparer.Ordinal);

    /// <summary>Notes that the worker which sent <paramref name="request"/> is given <paramref name="delta"/>. It leaves the workers that have just what it had.</summary>
    public void Note(GetDeltaQuery request, DeltaBundle delta)
    {
        if (request.Layers is not null)
        {
            // Part of an image is nothing that an update is built upon.
            return;
        }

        DateTimeOffset now = time.GetUtcNow();
        ImageReference[] sent = [.. delta.Images.Select(i => i.Reference.WithDigest(i.Manifest))];
        Holding before = new(request.From, request);
        Holding after = new([.. sent, .. request.From.Where(f => !sent.Any(s => s.Name == f.Name && s.Digest == f.Digest))], request);
        lock (_gate)
        {
            foreach (string name in sent.Select(s => s.Name).Distinct())
            {
                if (!_repositories.TryGetValue(name, out Repository? repository))
                {
                    if (_repositories.Count >= MaxRepositories)
                    {
                        _repositories.Remove(_repositories.MinBy(r => r.Value.Noted).Key);
                    }

                    _repositories.Add(name, repository = new Repository());
                }

                repository.Note(before, after, now);
            }
        }
    }

    /// <summary>What workers hold that have a version of the repository, those that most of them have first.</summary>
    /// <param name="repository">As <see cref="ImageReference.Name"/>.</param>
    /// <param name="count">At most so many.</param>
    public IReadOnlyList<Holding> MostCommon(string repository, int count)
    {
        DateTimeOffset now = time.GetUtcNow();
        lock (_gate)
        {
            return _repositories.TryGetValue(repository, out Repository? known) ? known.MostCommon(count, now) : [];
        }
    }

    /// <summary>What a worker has, and how it asks. Equal if a request built from it gives the same bundle.</summary>
    /// <param name="Images">With the digest of each.</param>
    public sealed record Holding(IReadOnlyList<ImageReference> Images, Platform Platform, bool Patches)
    {
        internal Holding(IReadOnlyList<ImageReference> images, GetDeltaQuery request)
            : this(images, request.Platform, request.Patches)
        {
        }

        public bool Equals(Holding? other) =>
            other is not null && Platform == other.Platform && Patches == other.Patches && Images.Select(i => i.Digest).SequenceEqual(other.Images.Select(i => i.Digest));

        public override int GetHashCode() => Images.Aggregate(HashCode.Combine(Platform, Patches), (hash, image) => HashCode.Combine(hash, image.Digest));
    }

    private sealed class Repository
    {
        /// <summary>Workers, each worth what its age leaves of it, as of the time beside it.</summary>
        private readonly Dictionary<Holding, (double Workers, DateTimeOffset At)> _holdings = [];

        public DateTimeOffset Noted { get; private set; }

        public void Note(Holding before, Holding after, DateTimeOffset now)
        {
            Noted = now;
            if (_holdings.TryGetValue(before, out (double Workers, DateTimeOffset At) left))
            {
                double workers = Aged(left, now) - 1;
                if (workers > 0)
                {
                    _holdings[before] = (workers, now);
                }
                else
                {
                    _holdings.Remove(before);
                }
            }

            _holdings[after] = (Aged(_holdings.GetValueOrDefault(after, (0, now)), now) + 1, now);
            if (_holdings.Count > MaxHoldingsPerRepository)
            {
                _holdings.Remove(_holdings.Where(h => !h.Key.Equals(after)).MinBy(h => Aged(h.Value, now)).Key);
            }
        }

        public IReadOnlyList<Holding> MostCommon(int count, DateTimeOffset now) =>
            [.. _holdings.OrderByDescending(h => Aged(h.Value, now)).ThenByDescending(h => h.Value.At).Take(count).Select(h => h.Key)];

        private static double Aged((double Workers, DateTimeOffset At) holding, DateTimeOffset now) =>
            holding.Workers * Math.Pow(0.5, Math.Max(0, (now - holding.At) / HalfLife));
    }
}
