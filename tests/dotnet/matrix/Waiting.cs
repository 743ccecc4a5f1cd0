using System;
using System.Collections.Generic;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>Readiness, time limits, and calls that do not block.</summary>
    internal static class Waiting
    {
        private const int ForEver = -1;

        [Feature("Poll")]
        private static void Poll(Conversation c)
        {
            Action steps = () =>
            {
                c.See("read, nothing there", () => c.Socket.Poll(0, SelectMode.SelectRead));
                c.See("write", () => c.Socket.Poll(0, SelectMode.SelectWrite));
                c.See("error", () => c.Socket.Poll(0, SelectMode.SelectError));
                c.PeerSends(5);
                c.See("read, data", () => c.Socket.Poll(0, SelectMode.SelectRead));
                c.Receive(5);
                c.See("read, no more data", () => c.Socket.Poll(1000, SelectMode.SelectRead));
            };
            c.InClear(steps);
            c.Upgrade();
            steps();
            Task<bool> waiting = Task.Run(() => c.Socket.Poll(ForEver, SelectMode.SelectRead));
            c.Peer.Order("send 5");
            c.SeeResult("waiting for data", waiting);
            c.Receive(5);
            c.PeerEnds();
            c.See("read, the peer's end", () => c.Socket.Poll(0, SelectMode.SelectRead));
            c.See("write, the peer's end", () => c.Socket.Poll(0, SelectMode.SelectWrite));
            c.See("error, the peer's end", () => c.Socket.Poll(0, SelectMode.SelectError));
        }

        [Feature("Poll at a reset")]
        private static void PollAtReset(Conversation c)
        {
            c.Upgrade();
            c.PeerResets();
            c.See("read", () => c.Socket.Poll(0, SelectMode.SelectRead));
            c.See("write", () => c.Socket.Poll(0, SelectMode.SelectWrite));
            c.See("error", () => c.Socket.Poll(0, SelectMode.SelectError));
        }

        [Feature("Poll for writing")]
        private static void PollForWriting(Conversation c)
        {
            c.Upgrade();
            int sent = Fill(c);
            c.See("the peer is full", () => c.Socket.Poll(0, SelectMode.SelectWrite));
            Task<bool> waiting = Task.Run(() => c.Socket.Poll(ForEver, SelectMode.SelectWrite));
            c.See("the peer takes all", () => c.Peer.Ask("take " + sent));
            c.SeeResult("waiting", waiting);
        }

        /// <summary>Sends until nothing more is taken; how much that was.</summary>
        private static int Fill(Conversation c)
        {
            const int Piece = 4096;
            int sent = 0;
            // The system may take more a little later, when it has moved what it had.
            while (c.Socket.Poll(50000, SelectMode.SelectWrite))
            {
                sent += c.Socket.Send(c.Next(Piece));
            }
            return sent;
        }

        [Feature("Select")]
        private static void Select(Conversation c)
        {
            c.Upgrade();
            using (Conversation other = new Conversation(c.Way))
            {
                other.Upgrade();
                c.See("nothing there", () => Selected(c, other, 0));
                c.PeerSends(5);
                c.See("data on the first", () => Selected(c, other, 0));
                other.PeerSends(5);
                c.See("data on both", () => Selected(c, other, 0));
                c.Receive(5);
                c.See("data on the second", () => Selected(c, other, 0));
                other.Receive(5);
                Task<string> waiting = Task.Run(() => Selected(c, other, ForEver));
                other.Peer.Order("send 1");
                c.SeeResult("waiting for the second", waiting);
            }
        }

        private static string Selected(Conversation c, Conversation other, int microseconds)
        {
            List<Socket> reading = new List<Socket> { c.Socket, other.Socket };
            List<Socket> writing = microseconds == ForEver ? null : new List<Socket> { c.Socket, other.Socket };
            List<Socket> failing = new List<Socket> { c.Socket, other.Socket };
            Socket.Select(reading, writing, failing, microseconds);
            Func<List<Socket>, string> names = sockets =>
                sockets == null ? "-" : string.Join("+", sockets.ConvertAll(s => s == c.Socket ? "first" : "second"));
            return "read " + names(reading) + ", write " + names(writing) + ", error " + names(failing);
        }

        [Feature("Available")]
        private static void Available(Conversation c)
        {
            c.Upgrade();
            c.See("nothing there", () => c.Socket.Available);
            c.PeerSends(10);
            c.See("data", () => c.Socket.Available);
            c.Receive(4);
            c.See("less of it", () => c.Socket.Available);
            c.PeerSends(3);
            c.See("more of it", () => c.Socket.Available);
            c.See("IOControl(DataToRead)", () =>
            {
                byte[] answer = new byte[4];
                c.Socket.IOControl(IOControlCode.DataToRead, null, answer);
                return BitConverter.ToInt32(answer, 0);
            });
            c.Receive(100);
            c.PeerEnds();
            c.See("the peer's end", () => c.Socket.Available);
        }

        [Feature("ReceiveTimeout set before")]
        private static void ReceiveTimeoutBefore(Conversation c)
        {
            c.Socket.ReceiveTimeout = 80;
            c.Upgrade();
            TimedReceives(c);
        }

        [Feature("ReceiveTimeout set after")]
        private static void ReceiveTimeoutAfter(Conversation c)
        {
            c.Upgrade();
            c.See("default", () => c.Socket.ReceiveTimeout);
            c.Socket.ReceiveTimeout = 80;
            TimedReceives(c);
            c.Socket.ReceiveTimeout = 0;
            c.See("set back", () => c.Socket.ReceiveTimeout);
        }

        private static void TimedReceives(Conversation c)
        {
            c.See("value", () => c.Socket.ReceiveTimeout);
            c.See("option", () => c.Socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReceiveTimeout));
            c.See("Receive", () => c.Receive(10));
            c.See("Blocking", () => c.Socket.Blocking);
            c.See("Connected", () => c.Socket.Connected);
            c.PeerSends(5);
            c.See("Receive of data", () => c.Receive(10));
        }

        [Feature("SendTimeout set before")]
        private static void SendTimeoutBefore(Conversation c)
        {
            c.Socket.SendTimeout = 80;
            c.Upgrade();
            TimedSends(c);
        }

        [Feature("SendTimeout set after")]
        private static void SendTimeoutAfter(Conversation c)
        {
            c.Upgrade();
            c.See("default", () => c.Socket.SendTimeout);
            c.Socket.SendTimeout = 80;
            TimedSends(c);
        }

        private static void TimedSends(Conversation c)
        {
            c.See("value", () => c.Socket.SendTimeout);
            if (Runtime.SendReturnsWhenFull)
            {
                c.See("Send to a peer that takes nothing", () =>
                {
                    byte[] block = new byte[65536];
                    while (c.Socket.Send(block) > 0)
                    {
                    }
                });
            }
            c.See("Connected", () => c.Socket.Connected);
        }

        [Feature("Blocking = false set before", NeedsClearText = true)]
        private static void NonBlockingBefore(Conversation c)
        {
            c.Socket.Blocking = false;
            c.Upgrade();
            WithoutBlocking(c);
            c.PeerEnds();
            c.See("Receive at the peer's end", () => c.Receive(10));
        }

        [Feature("Blocking = false set after")]
        private static void NonBlockingAfter(Conversation c)
        {
            c.Upgrade();
            c.Socket.Blocking = false;
            WithoutBlocking(c);
            c.Socket.Blocking = true;
            Task<string> receiving = Task.Run(() => c.Receive(10));
            c.Peer.Order("send 6");
            c.SeeResult("blocking again", receiving);
        }

        private static void WithoutBlocking(Conversation c)
        {
            c.See("Blocking", () => c.Socket.Blocking);
            c.See("Receive", () => c.Receive(10));
            SocketError error = SocketError.Success;
            c.See("Receive with an error code",
                () => c.Socket.Receive(new byte[10], 0, 10, SocketFlags.None, out error));
            c.See("that code", () => error);
            c.PeerSends(5);
            c.See("Receive of data", () => c.Receive(10));
            c.See("Send", () => c.Socket.Send(c.Next(10)));
            c.See("peer", () => c.Peer.Ask("take 10"));
            int sent = Fill(c);
            if (Runtime.SendReturnsWhenFull)
            {
                // Large, for the system keeps a little room.
                c.See("Send to a full peer", () =>
                {
                    sent += c.Socket.Send(c.Next(1 << 20));
                    return "less than all";
                });
            }
            c.See("the peer takes it", () => c.Peer.Ask("take " + sent));
            Conversation.Until(() => c.Socket.Poll(1000, SelectMode.SelectWrite));
            c.See("Send again", () => c.Socket.Send(c.Next(10)));
            c.See("peer again", () => c.Peer.Ask("take 10"));
        }
    }
}
