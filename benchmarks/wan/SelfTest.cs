using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Starlight.Benchmarks.Wan;

/// <summary>Shows that the link is as long and as wide as it is told to be, measured from its ends by the kernel's own ICMP and TCP.</summary>
internal static class SelfTest
{
    private const int Pings = 25;

    private static readonly TimeSpan s_rateTime = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_drainTime = TimeSpan.FromMilliseconds(300);

    public static void Run(EmulatedLink link, CancellationToken cancellationToken)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"The link itself: {Pings} pings and {s_rateTime.TotalSeconds:0} s of TCP (reno); real-time priority: {(link.RealTime ? "yes" : "NO, times are as good as the machine is idle")}"));
        Console.WriteLine("told                        ping min  median     max ms | Mbit/s of TCP payload     of what fits");
        foreach (LinkShape shape in new LinkShape[] { LinkShape.Wire, new(TimeSpan.FromMilliseconds(20), 100), new(TimeSpan.FromMilliseconds(150), 100), new(TimeSpan.FromMilliseconds(300), 100), new(TimeSpan.Zero, 100), new(TimeSpan.Zero, 500) })
        {
            link.Shape = shape;
            double[] times = Ping(cancellationToken);
            Console.Write(string.Create(CultureInfo.InvariantCulture, $"{shape,-26} {times[0],9:0.00} {times[times.Length / 2],7:0.00} {times[^1],7:0.00}    |"));
            if (shape.RoundTrip == TimeSpan.Zero)
            {
                double rate = Rate(link, cancellationToken);
                double most = (shape.MegabitsPerSecond ?? double.PositiveInfinity) * (TunDevice.Mtu - 52) / TunDevice.Mtu;
                Console.Write(string.Create(CultureInfo.InvariantCulture, $" {rate,8:0} {(double.IsInfinity(most) ? "" : $"{rate / most,29:P1}")}"));
            }

            Console.WriteLine();
        }
    }

    /// <summary>Sorted, in ms. RFC 792: type 8, code 0, checksum, identifier, sequence number. The other side's kernel answers.</summary>
    private static double[] Ping(CancellationToken cancellationToken)
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Icmp) { ReceiveTimeout = 2000 };
        EndPoint worker = new IPEndPoint(IPAddress.Parse(EmulatedLink.WorkerAddress), 0);
        double[] times = new double[Pings];
        byte[] request = new byte[64];
        byte[] answer = new byte[256];
        for (int i = -1; i < Pings; i++) // the first one finds its way and does not count
        {
            cancellationToken.ThrowIfCancellationRequested();
            Array.Clear(request);
            request[0] = 8;
            BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(6), (ushort)(i + 1));
            uint sum = 0;
            for (int at = 0; at < request.Length; at += 2)
            {
                sum += BinaryPrimitives.ReadUInt16BigEndian(request.AsSpan(at));
            }

            BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(2), (ushort)~((sum & 0xffff) + (sum >> 16)));
            long start = Stopwatch.GetTimestamp();
            socket.SendTo(request, worker);
            do
            {
                socket.Receive(answer);
            }
            while (answer[20] != 0 || BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(26)) != i + 1);

            if (i >= 0)
            {
                times[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
        }

        Array.Sort(times);
        return times;
    }

    /// <summary>In Mbit/s of payload.</summary>
    private static double Rate(EmulatedLink link, CancellationToken cancellationToken)
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        SetReno(listener);
        listener.Bind(new IPEndPoint(IPAddress.Any, 0));
        listener.Listen();
        using Socket receiver = link.Worker.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        receiver.Connect(EmulatedLink.ServerAddress, ((IPEndPoint)listener.LocalEndPoint!).Port);
        using Socket sender = listener.Accept();
        Thread sending = new(() =>
        {
            byte[] data = new byte[1 << 20];
            try
            {
                while (true)
                {
                    sender.Send(data);
                }
            }
            catch (SocketException)
            {
                // the receiver has seen enough
            }
        });
        sending.Start();
        byte[] buffer = new byte[1 << 20];
        long bytes = 0;
        long start = Stopwatch.GetTimestamp();
        TimeSpan warmUp = s_rateTime / 4;
        bool warm = false;
        while (Stopwatch.GetElapsedTime(start) < s_rateTime && !cancellationToken.IsCancellationRequested)
        {
            bytes += receiver.Receive(buffer);
            if (!warm && Stopwatch.GetElapsedTime(start) > warmUp)
            {
                (warm, bytes, start) = (true, 0, Stopwatch.GetTimestamp());
            }
        }

        double rate = bytes * 8 / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e6;
        receiver.LingerState = new LingerOption(true, 0);
        receiver.Dispose();
        sending.Join();

        // What is still queued would make the next ping late, or leave it no room.
        Thread.Sleep(s_drainTime);
        return rate;
    }

    /// <summary>IPPROTO_TCP, TCP_CONGESTION: what fills any link without pacing, so that the link is measured and not the sender's model of it.</summary>
    private static void SetReno(Socket socket) => socket.SetRawSocketOption(6, 13, "reno"u8);
}
