using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>The program's own end of a socket.</summary>
    internal static class Closing
    {
        [Feature("Close")]
        private static void Close(Conversation c)
        {
            c.Upgrade();
            c.Socket.Send(c.Next(100000));
            c.See("Close", () => c.Socket.Close());
            c.See("peer", () => c.Peer.Ask("ending"));
            c.See("Connected", () => c.Socket.Connected);
            c.See("Send", () => c.Socket.Send(new byte[1]));
            c.See("Receive", () => c.Socket.Receive(new byte[1]));
            c.See("Close again", () => c.Socket.Close());
            c.See("Dispose", () => c.Socket.Dispose());
        }

        [Feature("Close(10)")]
        private static void CloseWithTime(Conversation c)
        {
            c.Upgrade();
            c.Socket.Send(c.Next(100000));
            c.Peer.Begin("ending");
            c.See("Close", () => c.Socket.Close(10));
            c.See("peer", () => c.Peer.Answer());
        }

        [Feature("Close with LingerState 0")]
        private static void Abort(Conversation c)
        {
            c.Upgrade();
            Transfer.ThereAndBack(c);
            c.Socket.LingerState = new LingerOption(true, 0);
            c.Socket.Close();
            c.See("peer", () => c.Peer.Ask("ending"));
        }

        [Feature("Close with unread input")]
        private static void CloseWithInput(Conversation c)
        {
            c.Upgrade();
            c.PeerSends(100);
            c.Socket.Close();
            c.See("peer", () => c.Peer.Ask("ending"));
        }

        [Feature("Close with a read by SocketAsyncEventArgs pending")]
        private static void CloseWithEventArgs(Conversation c)
        {
            c.Upgrade();
            using (WaitableArgs own = new WaitableArgs())
            {
                own.Args.SetBuffer(new byte[20], 0, 20);
                bool pending = c.Socket.ReceiveAsync(own.Args);
                c.Socket.Close();
                c.See("outcome", () => own.Outcome(pending));
                c.See("peer", () => c.Peer.Ask("ending"));
            }
        }

        [Feature("Close with BeginReceive pending")]
        private static void CloseWithBegin(Conversation c)
        {
            c.Upgrade();
            Socket socket = c.Socket;
            IAsyncResult reading = socket.BeginReceive(new byte[20], 0, 20, SocketFlags.None, null, null);
            socket.Close();
            c.See("in time", () => reading.AsyncWaitHandle.WaitOne(Peer.PatienceMilliseconds));
            c.See("EndReceive", () => socket.EndReceive(reading));
            c.See("peer", () => c.Peer.Ask("ending"));
        }

        [Feature("Close with an awaited read pending")]
        private static void CloseWithTask(Conversation c)
        {
            c.Upgrade();
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(new byte[20]), SocketFlags.None);
            c.Socket.Close();
            c.SeeResult("ReceiveAsync", reading);
            c.See("peer", () => c.Peer.Ask("ending"));
        }

        [Feature("Close with NetworkStream.ReadAsync pending")]
        private static void CloseWithStream(Conversation c)
        {
            c.Upgrade();
            NetworkStream stream = new NetworkStream(c.Socket, true);
            Task<int> reading = stream.ReadAsync(new byte[20], 0, 20);
            stream.Close();
            // It shuts the connection down before it closes: either may be what the read meets first.
            c.See("ReadAsync ends", () => ((IAsyncResult)reading).AsyncWaitHandle.WaitOne(Peer.PatienceMilliseconds));
            c.See("peer", () => c.Peer.Ask("ending"));
        }

        [Feature("Close with a read pending since before the upgrade", NeedsClearText = true)]
        private static void CloseWithOld(Conversation c)
        {
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(new byte[20]), SocketFlags.None);
            c.Upgrade();
            c.Socket.Close();
            c.SeeResult("ReceiveAsync", reading);
            c.See("peer", () => c.Peer.Ask("ending"));
        }

        [Feature("Dispose with a write pending")]
        private static void DisposeDuringWrite(Conversation c)
        {
            c.Upgrade();
            ArraySegment<byte> data = new ArraySegment<byte>(new byte[64 * 1024 * 1024]);
            Task<int> sending = c.Socket.SendAsync(data, SocketFlags.None);
            c.See("SendAsync waits", () => !sending.IsCompleted);
            c.Socket.Dispose();
            c.See("SendAsync ends", () => ((IAsyncResult)sending).AsyncWaitHandle.WaitOne(Peer.PatienceMilliseconds));
        }

        [Feature("Disconnect")]
        private static void Disconnect(Conversation c)
        {
            c.Upgrade();
            c.Socket.Send(c.Next(10));
            c.See("Disconnect", () => c.Socket.Disconnect(false));
            c.See("Connected", () => c.Socket.Connected);
            c.See("peer", () => c.Peer.Ask("ending"));
            c.See("Send", () => c.Socket.Send(new byte[1]));
        }

        // Mono has one descriptor for both, and would close its number twice: they are never closed.
        private static readonly List<Socket> Duplicates = new List<Socket>();

        [Feature("neither closed nor disposed, and collected")]
        private static void Abandoned(Way way, string name)
        {
            Abandon(way, name, _ => { });
        }

        [Feature("neither closed nor disposed, with a stream, and collected")]
        private static void AbandonedStream(Way way, string name)
        {
            Abandon(way, name, c =>
            {
                new NetworkStream(c.Socket).Write(c.Next(100), 0, 100);
                c.Peer.Order("take 100");
            });
        }

        private static void Abandon(Way way, string name, Action<Conversation> use)
        {
            Conversation c = null;
            // Mono takes whatever is on a stack for references, so this one has to be gone.
            InThread(() =>
            {
                c = new Conversation(way, name);
                c.Upgrade();
                use(c);
                c.DropSocket();
            });
            using (c)
            using (Timer collecting = new Timer(_ => Collect(), null, 0, 10))
            {
                c.See("peer", () => c.Peer.Ask("ending"));
            }
        }

        internal static void Collect()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        internal static void InThread(ThreadStart steps)
        {
            Thread thread = new Thread(steps);
            thread.Start();
            thread.Join();
        }

        [Feature("DuplicateAndClose")]
        private static void Duplicate(Conversation c)
        {
            c.Upgrade();
            c.See("all steps", () =>
            {
                SocketInformation information = c.Socket.DuplicateAndClose(Process.GetCurrentProcess().Id);
                Socket duplicate = new Socket(information);
                Duplicates.Add(duplicate);
                duplicate.Send(c.Next(10));
                return c.Peer.Ask("take 10");
            });
        }
    }
}
