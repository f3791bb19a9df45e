namespace Starlight.Presentation.Cli.Output;

/// <summary>One line on standard error that is written over and over on a terminal; on anything else only changes of the text before the first colon are printed.</summary>
internal sealed class StatusLine(bool quiet) : IDisposable
{
    private readonly bool _terminal = !Console.IsErrorRedirected;
    private string _last = "";
    private int _width;

    public void Show(string text)
    {
        if (quiet || text.Length == 0)
        {
            return;
        }

        if (_terminal)
        {
            Console.Error.Write("\r" + text.PadRight(_width));
            _width = text.Length;
            return;
        }

        string head = text.Split(':', 2)[0];
        if (head != _last)
        {
            Console.Error.WriteLine(text);
            _last = head;
        }
    }

    public void Dispose()
    {
        if (_terminal && _width > 0)
        {
            Console.Error.Write("\r" + new string(' ', _width) + "\r");
        }
    }
}
