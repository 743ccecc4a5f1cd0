using System;
using System.Net.Sockets;
using System.Threading;

namespace Matrix
{
    /// <summary>SocketAsyncEventArgs whose outcome can be waited for.</summary>
    internal sealed class WaitableArgs : IDisposable
    {
        private readonly AutoResetEvent completed = new AutoResetEvent(false);

        public WaitableArgs()
        {
            Args = new SocketAsyncEventArgs();
            Args.Completed += (sender, e) => completed.Set();
        }

        public SocketAsyncEventArgs Args { get; private set; }

        /// <summary>Waits if the operation has not been done at once.</summary>
        public string Outcome(bool pending)
        {
            if (pending && !completed.WaitOne(Peer.PatienceMilliseconds))
            {
                throw new TimeoutException("no completion");
            }
            return Args.LastOperation + " " + Args.SocketError + " " + Args.BytesTransferred;
        }

        public void Dispose()
        {
            Args.Dispose();
            completed.Dispose();
        }
    }

    /// <summary>SendAsync, ReceiveAsync and the like with SocketAsyncEventArgs.</summary>
    internal static class ByEventArgs
    {
        [Feature("SocketAsyncEventArgs")]
        private static void New(Conversation c)
        {
            c.Upgrade();
            using (WaitableArgs own = new WaitableArgs())
            {
                Use(c, own);
                AtTheEnd(c, own);
            }
        }

        [Feature("SocketAsyncEventArgs used before", NeedsClearText = true)]
        private static void UsedBefore(Conversation c)
        {
            using (WaitableArgs own = new WaitableArgs())
            {
                c.InClear(() => Use(c, own));
                c.Upgrade();
                Use(c, own);
                AtTheEnd(c, own);
            }
        }

        private static void Use(Conversation c, WaitableArgs own)
        {
            byte[] buffer = new byte[20];
            own.Args.BufferList = null;
            own.Args.SetBuffer(buffer, 0, 20);
            bool pending = c.Socket.ReceiveAsync(own.Args);
            c.See("ReceiveAsync has to wait", () => pending);
            c.Peer.Order("send 8");
            c.See("ReceiveAsync", () => own.Outcome(pending));
            c.See("its bytes", () => c.Check(buffer, own.Args.BytesTransferred));
            c.PeerSends(6);
            c.See("ReceiveAsync of what is there", () => own.Outcome(c.Socket.ReceiveAsync(own.Args)));
            c.See("those bytes", () => c.Check(buffer, own.Args.BytesTransferred));
            own.Args.SetBuffer(c.Next(10), 0, 10);
            c.See("SendAsync", () => own.Outcome(c.Socket.SendAsync(own.Args)));
            own.Args.SetBuffer(null, 0, 0);
            own.Args.BufferList = Transfer.Segments(c.Next(15), 5, 10);
            c.See("SendAsync of a list", () => own.Outcome(c.Socket.SendAsync(own.Args)));
            c.See("peer", () => c.Peer.Ask("take 25"));
            byte[] whole = new byte[12];
            own.Args.BufferList = Transfer.Segments(whole, 4, 8);
            c.PeerSends(12);
            c.See("ReceiveAsync into a list", () => own.Outcome(c.Socket.ReceiveAsync(own.Args)));
            c.See("the list's bytes", () => c.Check(whole, own.Args.BytesTransferred));
        }

        private static void AtTheEnd(Conversation c, WaitableArgs own)
        {
            own.Args.BufferList = null;
            own.Args.SetBuffer(new byte[20], 0, 20);
            bool pending = c.Socket.ReceiveAsync(own.Args);
            c.Peer.Order("end");
            c.See("ReceiveAsync at the peer's end", () => own.Outcome(pending));
            own.Args.SetBuffer(c.Next(10), 0, 10);
            c.See("SendAsync after it", () => own.Outcome(c.Socket.SendAsync(own.Args)));
            c.See("peer has that", () => c.Peer.Ask("take 10"));
        }

        [Feature("SocketAsyncEventArgs for sending and receiving at once")]
        private static void BothAtOnce(Conversation c)
        {
            const int Length = 3000000;
            c.Upgrade();
            using (WaitableArgs sending = new WaitableArgs())
            using (WaitableArgs receiving = new WaitableArgs())
            {
                byte[] buffer = new byte[20];
                receiving.Args.SetBuffer(buffer, 0, 20);
                bool pendingReceive = c.Socket.ReceiveAsync(receiving.Args);
                sending.Args.SetBuffer(c.Next(Length), 0, Length);
                bool pendingSend = c.Socket.SendAsync(sending.Args);
                c.See("peer takes", () => c.Peer.Ask("take " + Length));
                c.See("SendAsync", () => sending.Outcome(pendingSend));
                c.Peer.Order("send 5");
                c.See("ReceiveAsync", () => receiving.Outcome(pendingReceive));
                c.See("bytes", () => c.Check(buffer, 5));
            }
        }

        [Feature("ReceiveAsync at a reset")]
        private static void AtReset(Conversation c)
        {
            c.Upgrade();
            using (WaitableArgs own = new WaitableArgs())
            {
                own.Args.SetBuffer(new byte[20], 0, 20);
                bool pending = c.Socket.ReceiveAsync(own.Args);
                c.Socket.Send(new byte[1]);
                c.Peer.Order("reset");
                c.See("ReceiveAsync", () => own.Outcome(pending));
                c.See("ReceiveAsync once more", () => own.Outcome(c.Socket.ReceiveAsync(own.Args)));
            }
        }
    }
}
