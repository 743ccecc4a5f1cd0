using System;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace SslSock.StaticHelper
{
    /// <summary>Two ends of a TCP connection over loopback.</summary>
    internal static class LoopbackPair
    {
        internal static void Make(out Socket near, out Socket far)
        {
            using (var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            {
                listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                listener.Listen(1);
                near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                near.Connect(listener.LocalEndPoint);
                far = listener.Accept();
                // Anybody on this machine can connect to it.
                while (!far.RemoteEndPoint.Equals(near.LocalEndPoint))
                {
                    far.Close();
                    far = listener.Accept();
                }
            }
            far.NoDelay = true;
        }
    }

    /// <summary>
    /// Carries bytes between a stream and a socket, both ways, until each has ended; then it closes the socket.
    /// </summary>
    internal sealed class Carrier
    {
        private readonly Stream stream;
        private readonly Socket socket;
        private readonly NetworkStream wire;
        private readonly Thread outward;
        private readonly Task inward;
        private int running = 2;
        private volatile Exception failure;

        internal Carrier(Stream stream, Socket socket, int bufferSize)
        {
            this.stream = stream;
            this.socket = socket;
            wire = new NetworkStream(socket, true);
            // A stream that does asynchronous calls by itself may make only one at a time: writing is done by a thread.
            outward = new Thread(() => CarryOut(new byte[bufferSize])) { IsBackground = true, Name = "SslStream" };
            outward.Start();
            inward = Task.Run(() => CarryIn(new byte[bufferSize]));
        }

        /// <summary>What the stream has thrown.</summary>
        internal Exception Failure
        {
            get { return failure; }
        }

        /// <summary>Waits until everything has been written to the stream, after the socket's other end was closed.</summary>
        internal void WaitForOutward(int milliseconds)
        {
            outward.Join(milliseconds);
        }

        /// <summary>Then until the stream's end: what is closed with unread input may lose what was sent.</summary>
        internal void WaitForInward(int milliseconds)
        {
            inward.Wait(milliseconds);
        }

        private void CarryOut(byte[] buffer)
        {
            try
            {
                int count;
                while ((count = ReadWire(buffer)) > 0)
                {
                    stream.Write(buffer, 0, count);
                    stream.Flush();
                }
            }
            catch (Exception thrown)
            {
                Fail(thrown);
            }
            Ended();
        }

        private async Task CarryIn(byte[] buffer)
        {
            try
            {
                int count;
                bool isWanted = true;
                while ((count = await stream.ReadAsync(buffer, 0, buffer.Length).ConfigureAwait(false)) > 0)
                {
                    // To the end, also when the library wants no more.
                    isWanted = isWanted && await WriteWire(buffer, count).ConfigureAwait(false);
                }
                EndWire(SocketShutdown.Send);
            }
            catch (Exception thrown)
            {
                Fail(thrown);
            }
            Ended();
        }

        /// <summary>0 also if the library's end is gone.</summary>
        private int ReadWire(byte[] buffer)
        {
            try
            {
                return wire.Read(buffer, 0, buffer.Length);
            }
            catch (IOException)
            {
                return 0;
            }
        }

        private async Task<bool> WriteWire(byte[] buffer, int count)
        {
            try
            {
                await wire.WriteAsync(buffer, 0, count).ConfigureAwait(false);
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        }

        /// <summary>The library sees an end that is out of order, and says so to whoever reads.</summary>
        private void Fail(Exception thrown)
        {
            failure = failure ?? thrown;
            EndWire(SocketShutdown.Both);
        }

        private void EndWire(SocketShutdown how)
        {
            try
            {
                socket.Shutdown(how);
            }
            catch (SocketException)
            {
            }
            catch (ObjectDisposedException)
            {
            }
        }

        /// <summary>Not before both have: some runtimes wait in Close for whoever is inside a call.</summary>
        private void Ended()
        {
            if (Interlocked.Decrement(ref running) == 0)
            {
                wire.Dispose();
            }
        }
    }
}
