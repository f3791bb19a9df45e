namespace Starlight.Infrastructure.Contents;

/// <summary>
/// A connection whose output can take bytes straight from a file (sendfile(2)), past this process. Whoever writes to the output announces a part of a file, asks the output for memory
/// of that length and, if that took the announcement, advances and flushes without filling the memory: the file's bytes go out in its place. Whatever stands between writer and
/// connection counts the bytes as if they had been written. One writer at a time.
/// </summary>
public interface IFileSender
{
    /// <param name="file">Stays open and unchanged until the flush is done.</param>
    /// <param name="offset">Of the part in the file.</param>
    /// <param name="count">Its length, and that of the memory that has to be asked for next.</param>
    void Announce(FileStream file, long offset, int count);

    /// <summary>Whether the memory that was asked for since stands for the announced part. If not, something in between buffers: the memory is ordinary and has to be filled.</summary>
    bool IsTaken();
}
