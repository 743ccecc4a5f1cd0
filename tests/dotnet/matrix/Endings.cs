using System;
using System.Net.Sockets;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>The ends of the two directions.</summary>
    internal static class Endings
    {
        [Feature("Shutdown(Send)")]
        private static void ShutdownSend(Conversation c)
        {
            c.Upgrade();
            c.Socket.Send(c.Next(1000));
            c.See("Shutdown", () => c.Socket.Shutdown(SocketShutdown.Send));
            c.See("peer", () => c.Peer.Ask("ending"));
            c.See("Send", () => c.Socket.Send(new byte[10]));
            c.PeerSends(500);
            c.See("Receive", () => c.Receive(1000));
            c.See("Connected", () => c.Socket.Connected);
            c.PeerEnds();
            c.See("Receive at the end", () => c.Receive(1000));
        }

        [Feature("Shutdown(Receive)")]
        private static void ShutdownReceive(Conversation c)
        {
            c.Upgrade();
            c.See("Shutdown", () => c.Socket.Shutdown(SocketShutdown.Receive));
            c.See("Receive", () => c.Receive(10));
            c.See("Send", () => c.Socket.Send(c.Next(10)));
            c.See("peer", () => c.Peer.Ask("take 10"));
        }

        [Feature("Shutdown(Both)")]
        private static void ShutdownBoth(Conversation c)
        {
            c.Upgrade();
            c.Socket.Send(c.Next(1000));
            c.See("Shutdown", () => c.Socket.Shutdown(SocketShutdown.Both));
            c.See("peer", () => c.Peer.Ask("ending"));
            c.See("Receive", () => c.Receive(10));
            c.See("Send", () => c.Socket.Send(new byte[10]));
            c.See("Connected", () => c.Socket.Connected);
        }

        [Feature("Shutdown(Send) with an awaited read")]
        private static void ShutdownSendBesideRead(Conversation c)
        {
            c.Upgrade();
            byte[] buffer = new byte[20];
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(buffer), SocketFlags.None);
            c.See("Shutdown", () => c.Socket.Shutdown(SocketShutdown.Send));
            c.See("peer", () => c.Peer.Ask("ending"));
            c.Peer.Order("send 8");
            c.See("ReceiveAsync", () => c.Check(buffer, Conversation.Wait(reading)));
        }

        [Feature("the peer's end")]
        private static void PeersEnd(Conversation c)
        {
            c.Upgrade();
            c.PeerSends(10);
            c.Peer.Order("end");
            c.See("Receive of what came before", () => c.Receive(100));
            c.See("Receive", () => c.Receive(100));
            c.See("Receive again", () => c.Receive(100));
            c.See("Connected", () => c.Socket.Connected);
            c.See("Send after it", () => c.Socket.Send(c.Next(10)));
            c.See("peer", () => c.Peer.Ask("take 10"));
            c.Socket.Shutdown(SocketShutdown.Send);
            c.See("peer sees our end", () => c.Peer.Ask("ending"));
        }

        [Feature("the peer closes")]
        private static void PeerCloses(Conversation c)
        {
            c.Upgrade();
            c.Peer.Order("close");
            Conversation.Until(() => c.Socket.Poll(1000, SelectMode.SelectRead));
            c.See("Receive", () => c.Receive(100));
            c.See("Send until it fails", () => SendUntilItFails(c));
            c.See("Connected", () => c.Socket.Connected);
            c.See("Receive after that", () => c.Receive(100));
        }

        private static void SendUntilItFails(Conversation c)
        {
            Conversation.Until(() => c.Socket.Send(new byte[10]) != 10);
        }

        [Feature("the peer ends TCP alone")]
        private static void Truncated(Conversation c)
        {
            c.Upgrade();
            c.PeerSends(10);
            c.Peer.Order("truncate");
            c.See("Receive of what came before", () => c.Receive(100));
            c.See("Receive", () => c.Receive(100));
            c.See("Receive again", () => c.Receive(100));
        }

        [Feature("the peer's reset")]
        private static void Reset(Conversation c)
        {
            c.Upgrade();
            c.PeerResets();
            c.See("Receive", () => c.Receive(100));
            c.See("Receive again", () => c.Receive(100));
            c.See("Connected", () => c.Socket.Connected);
            c.See("Send", () => c.Socket.Send(new byte[10]));
            c.See("Connected after Send", () => c.Socket.Connected);
            c.See("Shutdown", () => c.Socket.Shutdown(SocketShutdown.Both));
        }

        [Feature("data, then the peer's reset")]
        private static void DataThenReset(Conversation c)
        {
            c.Upgrade();
            c.PeerSends(100);
            c.Socket.Send(new byte[1]);
            c.Peer.Order("reset");
            c.See("Receive", () => c.Receive(100));
            c.See("Receive again", () => c.Receive(100));
        }

        [Feature("the peer's reset, in a stream")]
        private static void ResetInStream(Conversation c)
        {
            c.Upgrade();
            using (NetworkStream stream = new NetworkStream(c.Socket))
            {
                c.PeerResets();
                c.See("Read", () => stream.Read(new byte[10], 0, 10));
                c.See("Write", () => stream.Write(new byte[10], 0, 10));
            }
        }
    }
}
