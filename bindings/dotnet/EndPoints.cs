using System;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace SslSock
{
    /// <summary>The address of an AF_UNIX socket: a path, or nothing for a socket without a name.</summary>
    public sealed class SslUnixEndPoint : EndPoint
    {
        private const int FamilySize = 2;
        private const int PathCapacity = 108;

        /// <summary>Makes an address.</summary>
        /// <param name="path">
        /// The socket's path, or empty. A name that begins with NUL is one of Linux's abstract name space.
        /// </param>
        /// <exception cref="ArgumentNullException"><paramref name="path"/> is null.</exception>
        /// <exception cref="ArgumentOutOfRangeException">It is longer than an address can be.</exception>
        public SslUnixEndPoint(string path)
        {
            if (path == null)
            {
                throw new ArgumentNullException(nameof(path));
            }
            if (Encoding.UTF8.GetByteCount(path) >= PathCapacity)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(path), "The path of an AF_UNIX socket has at most 107 bytes.");
            }
            Path = path;
        }

        /// <summary>The path; empty for a socket without a name.</summary>
        public string Path { get; }

        /// <summary>Unix.</summary>
        public override AddressFamily AddressFamily
        {
            get { return AddressFamily.Unix; }
        }

        /// <summary>Makes an address of this kind.</summary>
        /// <param name="socketAddress">An address of the family Unix.</param>
        /// <returns>A new <see cref="SslUnixEndPoint"/>.</returns>
        public override EndPoint Create(SocketAddress socketAddress)
        {
            var bytes = new byte[Math.Max(0, socketAddress.Size - FamilySize)];
            for (int i = 0; i < bytes.Length; i++)
            {
                bytes[i] = socketAddress[FamilySize + i];
            }
            return new SslUnixEndPoint(PathIn(bytes, 0, bytes.Length));
        }

        /// <summary>The address as the system takes it.</summary>
        /// <returns>A new SocketAddress.</returns>
        public override SocketAddress Serialize()
        {
            byte[] path = Encoding.UTF8.GetBytes(Path);
            bool hasEnd = path.Length > 0 && path[0] != 0;
            var address = new SocketAddress(AddressFamily.Unix, FamilySize + path.Length + (hasEnd ? 1 : 0));
            for (int i = 0; i < path.Length; i++)
            {
                address[FamilySize + i] = path[i];
            }
            return address;
        }

        /// <summary>Whether the other one is the same path.</summary>
        /// <param name="other">Anything.</param>
        /// <returns>True if it is.</returns>
        public override bool Equals(object other)
        {
            var address = other as SslUnixEndPoint;
            return address != null && address.Path == Path;
        }

        /// <summary>A hash of the path.</summary>
        /// <returns>The hash.</returns>
        public override int GetHashCode()
        {
            return Path.GetHashCode();
        }

        /// <summary>The path; an abstract name with "@" for its NUL.</summary>
        /// <returns>The text.</returns>
        public override string ToString()
        {
            return Path.Replace('\0', '@');
        }

        internal static string PathIn(byte[] bytes, int start, int length)
        {
            if (length > 0 && bytes[start] != 0)
            {
                int end = Array.IndexOf(bytes, (byte)0, start, length);
                length = end < 0 ? length : end - start;
            }
            return Encoding.UTF8.GetString(bytes, start, length);
        }
    }

    /// <summary>Linux's sockaddr_in, sockaddr_in6 and sockaddr_un.</summary>
    internal static class SocketAddresses
    {
        internal const int Capacity = 128;

        private const int AF_UNIX = 1;
        private const int AF_INET = 2;
        private const int AF_INET6 = 10;

        internal static EndPoint Read(byte[] address, int length)
        {
            int family = length < 2 ? 0 : BitConverter.ToUInt16(address, 0);
            int port = length < 4 ? 0 : address[2] << 8 | address[3];
            switch (family)
            {
                case AF_INET:
                    return new IPEndPoint(new IPAddress(Part(address, 4, 4)), port);
                case AF_INET6:
                    uint scope = BitConverter.ToUInt32(address, 24);
                    return new IPEndPoint(new IPAddress(Part(address, 8, 16), scope), port);
                case AF_UNIX:
                    return new SslUnixEndPoint(SslUnixEndPoint.PathIn(address, 2, length - 2));
                default:
                    throw new NotSupportedException("There is no EndPoint for the address family " + family + ".");
            }
        }

        internal static byte[] Write(EndPoint endPoint)
        {
            var ip = endPoint as IPEndPoint;
            var unix = endPoint as SslUnixEndPoint;
            if (ip == null && unix == null)
            {
                throw new NotSupportedException(
                    "An IPEndPoint or SslUnixEndPoint is needed, not " + endPoint.GetType() + ".");
            }
            return ip != null ? WriteIp(ip) : WriteUnix(unix);
        }

        private static byte[] WriteIp(IPEndPoint endPoint)
        {
            bool isV6 = endPoint.AddressFamily == AddressFamily.InterNetworkV6;
            var address = new byte[isV6 ? 28 : 16];
            BitConverter.GetBytes((ushort)(isV6 ? AF_INET6 : AF_INET)).CopyTo(address, 0);
            address[2] = (byte)(endPoint.Port >> 8);
            address[3] = (byte)endPoint.Port;
            endPoint.Address.GetAddressBytes().CopyTo(address, isV6 ? 8 : 4);
            if (isV6)
            {
                BitConverter.GetBytes((uint)endPoint.Address.ScopeId).CopyTo(address, 24);
            }
            return address;
        }

        private static byte[] WriteUnix(SslUnixEndPoint endPoint)
        {
            SocketAddress serialized = endPoint.Serialize();
            var address = new byte[serialized.Size];
            for (int i = 0; i < address.Length; i++)
            {
                address[i] = serialized[i];
            }
            BitConverter.GetBytes((ushort)AF_UNIX).CopyTo(address, 0);
            return address;
        }

        private static byte[] Part(byte[] bytes, int start, int length)
        {
            var part = new byte[length];
            Array.Copy(bytes, start, part, 0, length);
            return part;
        }
    }
}
