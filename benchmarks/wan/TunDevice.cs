using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Starlight.Benchmarks.Wan.Native;
using Starlight.TestKit;

namespace Starlight.Benchmarks.Wan;

/// <summary>A TUN device in the namespace of the thread that makes it, with its packets in our hands. Gone when disposed, or with the process.</summary>
internal sealed unsafe class TunDevice : IDisposable
{
    /// <summary>struct virtio_net_hdr, in front of each packet: it tells of segments that are still to be cut.</summary>
    public const int HeaderLength = 10;

    /// <summary>A packet of 64 KiB, uncut.</summary>
    public const int MaxFrame = HeaderLength + 65535;

    public TunDevice(string name, string address, string peer)
    {
        Descriptor = Check(TunCalls.open("/dev/net/tun", TunCalls.O_RDWR | TunCalls.O_NONBLOCK | TunCalls.O_CLOEXEC));
        TunCalls.InterfaceRequest request = new() { Flags = TunCalls.IFF_TUN | TunCalls.IFF_NO_PI | TunCalls.IFF_VNET_HDR };
        Encoding.ASCII.GetBytes(name, new Span<byte>(request.Name, 15));
        Check(TunCalls.ioctl(Descriptor, TunCalls.TUNSETIFF, &request));

        // The device drops what does not fit into its queue: that must be the link's doing, never the reader's.
        Tool.Run("ip", ["link", "set", "lo", "up"]);
        Tool.Run("ip", ["link", "set", name, "mtu", Mtu.ToString(CultureInfo.InvariantCulture), "txqueuelen", "20000", "up"]);
        Tool.Run("ip", ["addr", "add", address, "peer", peer, "dev", name]);
    }

    public static int Mtu => 1500;

    public int Descriptor { get; }

    /// <summary>Whether the kernel may hand over packets of up to 64 KiB that a network card would cut: cheap, and too coarse where a packet's time on the wire counts.</summary>
    public bool Offload
    {
        set => Check(TunCalls.ioctl(Descriptor, TunCalls.TUNSETOFFLOAD, value ? TunCalls.TUN_F_CSUM | TunCalls.TUN_F_TSO4 : 0u));
    }

    public void Dispose() => _ = TunCalls.close(Descriptor);

    private static int Check(int result) => result >= 0 ? result : throw new InvalidOperationException("a TUN device cannot be made: " + new Win32Exception(Marshal.GetLastPInvokeError()).Message);
}
