using System;
using System.Net.Sockets;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>The calls that give tasks.</summary>
    internal static class ByAwait
    {
        [Feature("await SendAsync, ReceiveAsync")]
        private static void Await(Conversation c)
        {
            c.SeeEnd("all steps", Steps(c));
        }

        private static async Task Steps(Conversation c)
        {
            if (c.Way != Way.Immediate)
            {
                await Exchange(c, "in clear: ").ConfigureAwait(false);
            }
            await c.UpgradeAsync().ConfigureAwait(false);
            await Exchange(c, "").ConfigureAwait(false);
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(new byte[20]), SocketFlags.None);
            c.Peer.Order("end");
            c.SeeResult("ReceiveAsync at the peer's end", reading);
        }

        private static async Task Exchange(Conversation c, string when)
        {
            byte[] buffer = new byte[20];
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(buffer), SocketFlags.None);
            bool done = reading.IsCompleted;
            c.See(when + "ReceiveAsync is done before there is data", () => done);
            c.Peer.Order("send 8");
            int length = await reading.ConfigureAwait(false);
            c.See(when + "ReceiveAsync", () => c.Check(buffer, length));
            int sent = await c.Socket.SendAsync(new ArraySegment<byte>(c.Next(10)), SocketFlags.None)
                .ConfigureAwait(false);
            c.See(when + "SendAsync", () => sent);
            int listed = await c.Socket.SendAsync(Transfer.Segments(c.Next(15), 5, 10), SocketFlags.None)
                .ConfigureAwait(false);
            c.See(when + "SendAsync of a list", () => listed);
            c.See(when + "peer", () => c.Peer.Ask("take 25"));
            c.Peer.Order("send 12");
            byte[] whole = new byte[12];
            int scattered = await c.Socket.ReceiveAsync(Transfer.Segments(whole, 4, 8), SocketFlags.None)
                .ConfigureAwait(false);
            c.See(when + "ReceiveAsync into a list", () => c.Check(whole, scattered));
        }

        [Feature("await a large SendAsync")]
        private static void Large(Conversation c)
        {
            const int Length = 8 * 1024 * 1024;
            c.Upgrade();
            Task<int> sending = c.Socket.SendAsync(new ArraySegment<byte>(c.Next(Length)), SocketFlags.None);
            c.See("peer", () => c.Peer.Ask("take " + Length));
            c.SeeResult("SendAsync", sending);
        }

        [Feature("a read by await beside a write that blocks")]
        private static void BesideBlocking(Conversation c)
        {
            c.Upgrade();
            byte[] buffer = new byte[20];
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(buffer), SocketFlags.None);
            c.See("Send", () => c.Socket.Send(c.Next(10)));
            c.See("peer", () => c.Peer.Ask("take 10"));
            c.Peer.Order("send 5");
            c.See("ReceiveAsync", () => c.Check(buffer, Conversation.Wait(reading)));
            c.PeerSends(6);
            c.See("Receive after it", () => c.Receive(10));
        }
    }
}
