using System;
using System.Net.Sockets;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>What becomes of the helper once it has done its work: nothing depends on it.</summary>
    internal static class Helpers
    {
        [Feature("the helper is disposed after the upgrade")]
        private static void Disposed(Conversation c)
        {
            c.Upgrade();
            Transfer.ThereAndBack(c);
            if (c.Helper != null)
            {
                c.Helper.Dispose();
            }
            GoOn(c);
        }

        [Feature("the helper is disposed while a read is pending")]
        private static void DisposedBesideRead(Conversation c)
        {
            c.Upgrade();
            byte[] buffer = new byte[20];
            Task<int> reading = c.Socket.ReceiveAsync(new ArraySegment<byte>(buffer), SocketFlags.None);
            if (c.Helper != null)
            {
                c.Helper.Dispose();
            }
            c.Peer.Order("send 8");
            c.See("ReceiveAsync", () => c.Check(buffer, Conversation.Wait(reading)));
            GoOn(c);
        }

        [Feature("the helper is collected after the upgrade")]
        private static void Collected(Way way, string name)
        {
            Conversation c = null;
            WeakReference weak = null;
            // Mono takes whatever is on a stack for references, so this one has to be gone.
            Closing.InThread(() =>
            {
                c = new Conversation(way, name);
                c.Upgrade();
                weak = new WeakReference(c.Helper);
                c.DropHelper();
            });
            using (c)
            {
                for (int i = 0; i < 50 && weak.IsAlive; i++)
                {
                    Closing.InThread(Closing.Collect);
                }
                c.See("the helper is gone", () => !weak.IsAlive);
                GoOn(c);
            }
        }

        private static void GoOn(Conversation c)
        {
            Transfer.ThereAndBack(c);
            c.Socket.Shutdown(SocketShutdown.Send);
            c.See("peer sees the end", () => c.Peer.Ask("ending"));
            c.PeerSends(100);
            c.See("Receive", () => c.Receive(200));
            c.PeerEnds();
            c.See("Receive at the end", () => c.Receive(200));
        }
    }
}
