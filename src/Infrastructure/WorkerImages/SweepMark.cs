namespace Starlight.Infrastructure.WorkerImages;

/// <summary>
/// Whether every content in the object store is known to belong to an image. Where it is not, because the daemon was killed or a removal failed, the whole store has to be looked through at the next start,
/// which takes seconds for a million contents and keeps pulls waiting. A file says so that is only there while no daemon runs, so a crash leaves none.
/// </summary>
internal sealed class SweepMark
{
    private readonly string _path;
    private volatile bool _isSwept;

    /// <param name="path">Of the file; removed until <see cref="Save"/>.</param>
    public SweepMark(string path)
    {
        _path = path;
        _isSwept = File.Exists(path);
        File.Delete(path);
    }

    public bool IsSwept
    {
        get => _isSwept;
        set => _isSwept = value;
    }

    /// <summary>To be called last, when nothing can be stored any more.</summary>
    public void Save()
    {
        if (_isSwept)
        {
            File.WriteAllBytes(_path, []);
        }
    }
}
