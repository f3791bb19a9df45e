using System.ComponentModel;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Starlight.Benchmarks.Wan.Native;

namespace Starlight.Benchmarks.Wan;

/// <summary>
/// A network namespace without a name: it goes with the last process and descriptor that holds it, so nothing is left behind even if this program is killed. A socket belongs to the
/// namespace of the thread that makes it, a process to that of the thread that starts it.
/// </summary>
internal sealed class NetworkNamespace : IDisposable
{
    private const string Mark = "STARLIGHT_WAN_NAMESPACE";

    private readonly SafeFileHandle _handle;

    private NetworkNamespace(SafeFileHandle handle) => _handle = handle;

    public static NetworkNamespace Create()
    {
        SafeFileHandle? handle = null;
        OnThread(() =>
        {
            Check(NamespaceCalls.unshare(NamespaceCalls.CLONE_NEWNET), "a network namespace cannot be made; this needs root");
            handle = File.OpenHandle("/proc/thread-self/ns/net");
        });
        return new NetworkNamespace(handle!);
    }

    /// <summary>Starts this program anew, as the same process, in a network namespace of its own; returns there.</summary>
    public static void EnterOwn()
    {
        if (Environment.GetEnvironmentVariable(Mark) is not null)
        {
            return;
        }

        Environment.SetEnvironmentVariable(Mark, "1");
        Check(NamespaceCalls.unshare(NamespaceCalls.CLONE_NEWNET), "a network namespace cannot be made; this needs root");
        string[] arguments = Encoding.UTF8.GetString(File.ReadAllBytes("/proc/self/cmdline")).TrimEnd('\0').Split('\0');
        string[] environment = [.. Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>().Select(e => $"{e.Key}={e.Value}")];
        Check(NamespaceCalls.execve(Environment.ProcessPath!, [.. arguments, null], [.. environment, null]), "this program cannot be started anew");
    }

    /// <summary>Runs on a thread in the namespace.</summary>
    public T Run<T>(Func<T> action)
    {
        T result = default!;
        OnThread(() =>
        {
            Check(NamespaceCalls.setns((int)_handle.DangerousGetHandle(), NamespaceCalls.CLONE_NEWNET), "the network namespace cannot be entered");
            result = action();
        });
        return result;
    }

    public void Dispose() => _handle.Dispose();

    /// <summary>A thread that ends with its namespace, and never one of the pool.</summary>
    private static void OnThread(Action action)
    {
        ExceptionDispatchInfo? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
    }

    private static void Check(int result, string what)
    {
        if (result != 0)
        {
            throw new InvalidOperationException($"{what}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");
        }
    }
}
