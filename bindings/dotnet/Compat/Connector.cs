using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace SslSock.Compat
{
    /// <summary>
    /// Connects a descriptor as far as the kernel, so that the runtime's own Connect succeeds at once.
    /// </summary>
    /// <remarks>
    /// A socket of CoreCLR whose Handle has been asked for cannot be connected again after a failure, nor to a name
    /// with several addresses: the runtime would have to replace the descriptor. So the attempts are made here, on
    /// one descriptor, and the runtime sees only the one that succeeds: connect(2) on a socket whose connection has
    /// been made without blocking, and not been reported yet, answers success.
    /// </remarks>
    internal static class Connector
    {
        private const int F_GETFL = 3;
        private const int F_SETFL = 4;
        private const int F_DUPFD_CLOEXEC = 1030;
        private const int O_NONBLOCK = 0x800;
        private const int SOL_SOCKET = 1;
        private const int SO_ERROR = 4;
        private const int EINTR = 4;
        private const int EINPROGRESS = 115;
        private const short POLLOUT = 4;
        private const short POLLERR = 8;
        private const short POLLHUP = 16;

        /// <summary>How often it is looked whether the socket has been closed meanwhile.</summary>
        private const int LookMilliseconds = 100;

        [StructLayout(LayoutKind.Sequential)]
        private struct PollFd
        {
            internal int Descriptor;
            internal short Events;
            internal short Returned;
        }

        /// <summary>
        /// Tries the addresses in turn and answers the first that could be reached. Throws the last one's
        /// SocketException if none could, and ObjectDisposedException once <paramref name="isClosed"/> answers true.
        /// </summary>
        internal static int Reach(int descriptor, IList<IPEndPoint> endPoints, Func<bool> isClosed)
        {
            return WithoutBlocking(descriptor, duplicate =>
            {
                SocketException failure = new SocketException((int)SocketError.AddressNotAvailable);
                for (int i = 0; i < endPoints.Count; i++)
                {
                    failure = Try(duplicate, endPoints[i], isClosed);
                    if (failure == null)
                    {
                        return i;
                    }
                }
                throw failure;
            });
        }

        /// <summary>Makes the runtime's next attempt to connect fail at once, and answers where it has to go.</summary>
        internal static IPEndPoint Spoil(int descriptor, AddressFamily family, Func<bool> isClosed)
        {
            bool isV6 = family == AddressFamily.InterNetworkV6;
            // Nothing can listen on port 0.
            IPEndPoint nowhere = new IPEndPoint(isV6 ? IPAddress.IPv6Loopback : IPAddress.Loopback, 0);
            byte[] address = SocketAddresses.Write(nowhere);
            WithoutBlocking(descriptor, duplicate =>
                connect(duplicate, address, address.Length) == 0 ? 0 : Await(duplicate, isClosed));
            return nowhere;
        }

        private static int WithoutBlocking(int descriptor, Func<int, int> work)
        {
            // Another thread may close the socket, and its number may then be another's.
            int duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
            if (duplicate < 0)
            {
                throw ToException(Marshal.GetLastWin32Error());
            }
            int flags = fcntl(duplicate, F_GETFL, 0);
            try
            {
                fcntl(duplicate, F_SETFL, flags | O_NONBLOCK);
                return work(duplicate);
            }
            finally
            {
                fcntl(duplicate, F_SETFL, flags);
                close(duplicate);
            }
        }

        private static SocketException Try(int descriptor, IPEndPoint endPoint, Func<bool> isClosed)
        {
            byte[] address = SocketAddresses.Write(endPoint);
            if (connect(descriptor, address, address.Length) == 0)
            {
                // Reported already: the runtime has to make it once more.
                Reset(descriptor);
                return null;
            }
            int error = Marshal.GetLastWin32Error();
            if (error == EINPROGRESS || error == EINTR)
            {
                error = Await(descriptor, isClosed);
            }
            if (error == 0)
            {
                return null;
            }
            Reset(descriptor);
            return ToException(error);
        }

        private static int Await(int descriptor, Func<bool> isClosed)
        {
            PollFd[] waiting = { new PollFd { Descriptor = descriptor, Events = POLLOUT } };
            while (poll(waiting, 1, LookMilliseconds) <= 0)
            {
                if (isClosed())
                {
                    throw new ObjectDisposedException(typeof(Socket).FullName);
                }
            }
            if ((waiting[0].Returned & (POLLERR | POLLHUP)) == 0)
            {
                return 0;
            }
            int error = 0;
            int length = sizeof(int);
            return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, ref error, ref length) == 0 ? error : EINPROGRESS;
        }

        /// <summary>Back to a socket that is not connected, which Linux can always do; a bound address stays.</summary>
        private static void Reset(int descriptor)
        {
            byte[] unspecified = new byte[16];
            connect(descriptor, unspecified, unspecified.Length);
        }

        private static SocketException ToException(int error)
        {
            return new SocketException(WinsockError.Of((int)SslError.Io, error));
        }

        [DllImport("libc", SetLastError = true)]
        private static extern int fcntl(int descriptor, int command, int argument);

        [DllImport("libc", SetLastError = true)]
        private static extern int connect(int descriptor, byte[] address, int length);

        [DllImport("libc", SetLastError = true)]
        private static extern int poll([In, Out] PollFd[] waiting, ulong count, int milliseconds);

        [DllImport("libc", SetLastError = true)]
        private static extern int getsockopt(int descriptor, int level, int name, ref int value, ref int length);

        [DllImport("libc", SetLastError = true)]
        private static extern int close(int descriptor);
    }
}
