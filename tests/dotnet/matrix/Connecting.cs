using System;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>Ways to have become connected, and addresses.</summary>
    internal static class Connecting
    {
        [Feature("await ConnectAsync before", NeedsClearText = true)]
        private static void Await(Way way, string name)
        {
            After(way, name, (socket, address) => Conversation.Wait(socket.ConnectAsync(address)));
        }

        [Feature("ConnectAsync(SocketAsyncEventArgs) before", NeedsClearText = true)]
        private static void EventArgs(Way way, string name)
        {
            After(way, name, (socket, address) =>
            {
                using (WaitableArgs own = new WaitableArgs())
                {
                    own.Args.RemoteEndPoint = address;
                    own.Outcome(socket.ConnectAsync(own.Args));
                }
            });
        }

        [Feature("BeginConnect, EndConnect before", NeedsClearText = true)]
        private static void BeginEnd(Way way, string name)
        {
            After(way, name, (socket, address) => socket.EndConnect(socket.BeginConnect(address, null, null)));
        }

        private static void After(Way way, string name, Action<Socket, EndPoint> connect)
        {
            using (Conversation c = new Conversation(way, name, connect: connect))
            {
                c.See("Connected", () => c.Socket.Connected);
                c.Upgrade();
                c.See("Connected after", () => c.Socket.Connected);
                Transfer.ThereAndBack(c);
                byte[] buffer = new byte[20];
                Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(buffer), SocketFlags.None);
                c.Peer.Order("send 8");
                c.See("ReceiveAsync", () => c.Check(buffer, Conversation.Wait(reading)));
            }
        }

        [Feature("a connection over IPv6")]
        private static void Ipv6(Way way, string name)
        {
            if (Environment.GetEnvironmentVariable("SSLSOCK_CALLS_PEER6") == null)
            {
                Report.Line("skipped", name, "there is no IPv6");
                return;
            }
            using (Conversation c = new Conversation(way, name, "SSLSOCK_CALLS_PEER6"))
            {
                c.InClear(() => Transfer.ThereAndBack(c));
                c.Upgrade();
                Transfer.ThereAndBack(c);
                c.See("AddressFamily", () => c.Socket.AddressFamily);
                c.See("the address family of RemoteEndPoint", () => c.Socket.RemoteEndPoint.AddressFamily);
                c.See("the helper's RemoteEndPoint is right",
                    () => (c.Helper != null ? c.Helper.RemoteEndPoint : c.Socket.RemoteEndPoint).Equals(c.PeerAddress));
                byte[] buffer = new byte[20];
                Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(buffer), SocketFlags.None);
                c.Peer.Order("send 8");
                c.See("ReceiveAsync", () => c.Check(buffer, Conversation.Wait(reading)));
                c.Socket.NoDelay = true;
                c.See("NoDelay", () => c.Socket.NoDelay);
                c.PeerEnds();
                c.See("Receive at the end", () => c.Receive(10));
            }
        }

        [Feature("RemoteEndPoint, LocalEndPoint")]
        private static void AskedAfter(Conversation c)
        {
            c.Upgrade();
            c.See("RemoteEndPoint is the peer's", () => c.Socket.RemoteEndPoint.Equals(c.PeerAddress));
            c.See("LocalEndPoint is in 127.0.0.x", () => Text(c.Socket.LocalEndPoint).StartsWith("127.0.0."));
            TheHelpers(c);
        }

        [Feature("RemoteEndPoint, LocalEndPoint asked for before", NeedsClearText = true)]
        private static void AskedBefore(Conversation c)
        {
            EndPoint remote = c.Socket.RemoteEndPoint;
            EndPoint local = c.Socket.LocalEndPoint;
            c.Upgrade();
            c.See("RemoteEndPoint is the same", () => c.Socket.RemoteEndPoint.Equals(remote));
            c.See("LocalEndPoint is the same", () => c.Socket.LocalEndPoint.Equals(local));
            c.See("the helper's are those", () => c.Helper == null ||
                c.Helper.RemoteEndPoint.Equals(remote) && c.Helper.LocalEndPoint.Equals(local));
            TheHelpers(c);
        }

        private static void TheHelpers(Conversation c)
        {
            c.See("the helper's RemoteEndPoint is the peer's",
                () => c.Helper == null || c.Helper.RemoteEndPoint.Equals(c.PeerAddress));
            c.See("the helper's LocalEndPoint is in 127.0.0.x",
                () => c.Helper == null || Text(c.Helper.LocalEndPoint).StartsWith("127.0.0."));
        }

        private static string Text(EndPoint address)
        {
            return ((IPEndPoint)address).Address.ToString();
        }
    }
}
