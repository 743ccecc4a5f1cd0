using System;
using System.IO;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>Reads that wait while the upgrade is made: what comes under TLS is theirs.</summary>
    internal static class PendingReads
    {
        [Feature("ReceiveAsync(SocketAsyncEventArgs) pending at the upgrade", NeedsClearText = true)]
        private static void EventArgs(Conversation c)
        {
            using (WaitableArgs own = new WaitableArgs())
            {
                byte[] buffer = new byte[20];
                own.Args.SetBuffer(buffer, 0, 20);
                bool pending = c.Socket.ReceiveAsync(own.Args);
                c.Upgrade();
                c.Peer.Order("send 8");
                c.See("outcome", () => own.Outcome(pending));
                c.See("bytes", () => c.Check(buffer, own.Args.BytesTransferred));
                c.See("the next one", () =>
                {
                    bool again = c.Socket.ReceiveAsync(own.Args);
                    c.Peer.Order("send 5");
                    return own.Outcome(again);
                });
                c.See("its bytes", () => c.Check(buffer, own.Args.BytesTransferred));
                Transfer.ThereAndBack(c);
            }
        }

        [Feature("BeginReceive pending at the upgrade", NeedsClearText = true)]
        private static void BeginReceive(Conversation c)
        {
            byte[] buffer = new byte[20];
            IAsyncResult receiving = c.Socket.BeginReceive(buffer, 0, 20, SocketFlags.None, null, null);
            c.Upgrade();
            c.See("done", () => receiving.IsCompleted);
            c.Peer.Order("send 8");
            c.See("EndReceive", () => c.Check(buffer, c.Socket.EndReceive(receiving)));
            Transfer.ThereAndBack(c);
        }

        [Feature("await ReceiveAsync pending at the upgrade", NeedsClearText = true)]
        private static void Await(Conversation c)
        {
            byte[] buffer = new byte[20];
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(buffer), SocketFlags.None);
            Conversation.Wait(c.UpgradeAsync());
            c.See("done", () => reading.IsCompleted);
            c.Peer.Order("send 8");
            c.See("ReceiveAsync", () => c.Check(buffer, Conversation.Wait(reading)));
            Transfer.ThereAndBack(c);
        }

        [Feature("NetworkStream.ReadAsync pending at the upgrade", NeedsClearText = true)]
        private static void Stream(Conversation c)
        {
            byte[] buffer = new byte[20];
            NetworkStream stream = new NetworkStream(c.Socket);
            Task<int> reading = stream.ReadAsync(buffer, 0, 20);
            c.Upgrade();
            c.See("done", () => reading.IsCompleted);
            c.Peer.Order("send 8");
            c.See("ReadAsync", () => c.Check(buffer, Conversation.Wait(reading)));
            c.SeeEnd("WriteAsync", stream.WriteAsync(c.Next(10), 0, 10));
            c.See("peer", () => c.Peer.Ask("take 10"));
        }

        [Feature("StreamReader.ReadLineAsync pending at the upgrade", NeedsClearText = true)]
        private static void Line(Conversation c)
        {
            StreamReader reader = new StreamReader(new NetworkStream(c.Socket), Encoding.ASCII);
            Task<string> reading = reader.ReadLineAsync();
            c.Upgrade();
            c.See("done", () => reading.IsCompleted);
            c.Peer.Order("say hello");
            c.SeeResult("ReadLineAsync", reading);
        }

        [Feature("two reads pending at the upgrade", NeedsClearText = true)]
        private static void Two(Conversation c)
        {
            byte[] first = new byte[4];
            byte[] second = new byte[4];
            IAsyncResult one = c.Socket.BeginReceive(first, 0, 4, SocketFlags.None, null, null);
            IAsyncResult two = c.Socket.BeginReceive(second, 0, 4, SocketFlags.None, null, null);
            c.Upgrade();
            c.Peer.Order("send 8");
            c.See("the first", () => c.Check(first, c.Socket.EndReceive(one)));
            c.See("the second", () => c.Check(second, c.Socket.EndReceive(two)));
        }

        [Feature("a read pending at the upgrade, then the peer's end", NeedsClearText = true)]
        private static void End(Conversation c)
        {
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(new byte[20]), SocketFlags.None);
            c.Upgrade();
            c.Peer.Order("end");
            c.SeeResult("ReceiveAsync", reading);
        }

        [Feature("a read pending at the upgrade, then a reset", NeedsClearText = true)]
        private static void Reset(Conversation c)
        {
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(new byte[20]), SocketFlags.None);
            c.Upgrade();
            c.Socket.Send(new byte[1]);
            c.Peer.Order("reset");
            c.SeeResult("ReceiveAsync", reading);
        }
    }
}
