using System;
using System.Net.Sockets;
using System.Threading;

namespace Matrix
{
    /// <summary>BeginSend, EndSend, BeginReceive, EndReceive.</summary>
    internal static class ByBeginEnd
    {
        [Feature("BeginSend, EndSend, BeginReceive, EndReceive")]
        private static void BeginEnd(Conversation c)
        {
            c.InClear(() => Use(c));
            c.Upgrade();
            Use(c);
            byte[] buffer = new byte[20];
            IAsyncResult receiving = c.Socket.BeginReceive(buffer, 0, 20, SocketFlags.None, null, null);
            c.Peer.Order("end");
            c.See("EndReceive at the peer's end", () => c.Socket.EndReceive(receiving));
        }

        private static void Use(Conversation c)
        {
            byte[] buffer = new byte[20];
            IAsyncResult receiving = c.Socket.BeginReceive(buffer, 0, 20, SocketFlags.None, null, "state");
            c.See("BeginReceive has to wait", () => !receiving.IsCompleted);
            c.See("AsyncState", () => receiving.AsyncState);
            c.Peer.Order("send 9");
            c.See("EndReceive", () => c.Check(buffer, c.Socket.EndReceive(receiving)));
            using (ManualResetEvent called = new ManualResetEvent(false))
            {
                string outcome = null;
                c.Socket.BeginReceive(buffer, 0, 20, SocketFlags.None, result =>
                {
                    outcome = Outcome.Of(() => c.Check(buffer, c.Socket.EndReceive(result)));
                    called.Set();
                }, null);
                c.Peer.Order("send 4");
                c.See("callback", () => called.WaitOne(Peer.PatienceMilliseconds) ? outcome : "never called");
            }
            c.See("EndSend", () => c.Socket.EndSend(
                c.Socket.BeginSend(c.Next(11), 0, 11, SocketFlags.None, null, null)));
            c.See("EndSend of a list", () => c.Socket.EndSend(
                c.Socket.BeginSend(Transfer.Segments(c.Next(14), 4, 10), SocketFlags.None, null, null)));
            c.See("peer", () => c.Peer.Ask("take 25"));
            SocketError error = SocketError.Success;
            IAsyncResult withCode = c.Socket.BeginReceive(buffer, 0, 20, SocketFlags.None, null, null);
            c.Peer.Order("send 3");
            c.See("EndReceive with an error code", () => c.Check(buffer, c.Socket.EndReceive(withCode, out error)));
            c.See("that code", () => error);
        }
    }
}
