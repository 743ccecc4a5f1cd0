using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;

namespace SslSock.Compat
{
    /// <summary>
    /// Where a Connect is to go, and what name that gives the certificate. Made on the thread that calls Connect, whose
    /// look-ups count.
    /// </summary>
    internal sealed class Target
    {
        private readonly string host;
        private readonly int port;
        private readonly IPEndPoint[] endPoints;
        private readonly string[] names;

        private Target(EndPoint other)
        {
            Other = other;
        }

        private Target(string host, int port)
        {
            this.host = host;
            this.port = port;
        }

        private Target(params IPEndPoint[] endPoints)
        {
            this.endPoints = endPoints;
            names = SslDefaults.PeerName == null
                ? Array.ConvertAll(endPoints, endPoint => LookedUpNames.Find(endPoint.Address))
                : new string[endPoints.Length];
        }

        /// <summary>An address that is none of the internet's, or null.</summary>
        internal EndPoint Other { get; }

        internal static Target Of(EndPoint endPoint)
        {
            DnsEndPoint named = endPoint as DnsEndPoint;
            if (named != null)
            {
                return new Target(named.Host, named.Port);
            }
            IPEndPoint ip = endPoint as IPEndPoint;
            return ip == null ? new Target(endPoint) : new Target(new IPEndPoint(ip.Address, ip.Port));
        }

        internal static Target Of(IPAddress address, int port)
        {
            return new Target(new IPEndPoint(address, port));
        }

        internal static Target Of(IPAddress[] addresses, int port)
        {
            return new Target(addresses.Select(address => new IPEndPoint(address, port)).ToArray());
        }

        internal static Target Of(string host, int port)
        {
            // Checks the port, as the base class does before it looks anything up.
            return new Target(host, new IPEndPoint(IPAddress.Any, port).Port);
        }

        /// <summary>The addresses that a socket of this kind can be connected to.</summary>
        internal IList<IPEndPoint> Resolve(System.Net.Sockets.Socket socket)
        {
            IEnumerable<IPEndPoint> all = endPoints
                ?? System.Net.Dns.GetHostAddresses(host).Select(address => new IPEndPoint(address, port));
            bool isDual = socket.AddressFamily == AddressFamily.InterNetworkV6 && socket.DualMode;
            List<IPEndPoint> usable = new List<IPEndPoint>();
            foreach (IPEndPoint endPoint in all)
            {
                if (endPoint.AddressFamily == socket.AddressFamily)
                {
                    usable.Add(endPoint);
                }
                else if (isDual)
                {
                    usable.Add(new IPEndPoint(endPoint.Address.MapToIPv6(), endPoint.Port));
                }
            }
            if (usable.Count == 0)
            {
                throw new SocketException((int)(host == null
                    ? SocketError.AddressFamilyNotSupported
                    : SocketError.HostNotFound));
            }
            return usable;
        }

        /// <summary>The name that was given or looked up, if there is no choice of addresses, or null.</summary>
        internal string OnlyName => host ?? (names != null && names.Length == 1 ? names[0] : null);

        /// <summary>The name that was given or looked up for an address of <see cref="Resolve"/>, or null.</summary>
        internal string NameOf(IPEndPoint endPoint)
        {
            if (host != null)
            {
                return host;
            }
            int index = Array.FindIndex(
                endPoints, one => one.Equals(endPoint) || one.Address.MapToIPv6().Equals(endPoint.Address));
            return index < 0 ? null : names[index];
        }
    }
}
